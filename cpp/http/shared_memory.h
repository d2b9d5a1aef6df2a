// The shared memory extension: what clients lend the server, and take back.
#pragma once

#include "http/message.h"
#include "http/routes.h"
#include "memory/buffer.h"
#include "memory/shared_regions.h"

namespace despina::http {

// [{"name":...,"key":...,"offset":...,"byte_size":...}, ...] of the region that the path names, or
// of all; NOT_FOUND.
Answer AnswerSharedMemory(const RouteMatch& match, const SharedRegions& regions);

// {"key":...,"offset":...,"byte_size":...} under the name in the path.
Answer RegisterSharedMemory(const RouteMatch& match, const Slice& body, SharedRegions& regions);

}  // namespace despina::http
