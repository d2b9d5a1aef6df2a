// Answers whose bodies are compressed.
#pragma once

#include "frontend/compression_queue.h"
#include "frontend/compressor.h"
#include "http/message.h"
#include "http/session.h"
#include "memory/allocator.h"

namespace despina::http {

// Responds with the answer, its body in the coding, which is not identity: once its turn has come
// in the queue. As it is where there is no memory to compress it. The loop's thread.
void RespondCompressed(Session& session, Answer answer, frontend::Coding coding,
                       Allocator& allocator, frontend::CompressionQueue& queue);

}  // namespace despina::http
