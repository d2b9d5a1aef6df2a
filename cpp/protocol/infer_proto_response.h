// Inference responses as they go over gRPC: messages inference.ModelInferResponse, and
// inference.ModelStreamInferResponse around them.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/recycled_memory.h"
#include "base/status.h"
#include "engine/request.h"
#include "memory/allocator.h"
#include "memory/buffer.h"
#include "protocol/infer_request.h"

namespace despina::protocol {

// A message in pieces, to be sent one after the other. They keep the buffers that tensors lie in.
struct EncodedMessage {
  // So many of the next bytes of `text`, and then `data`, which may be empty in the last piece.
  struct Piece {
    size_t text_bytes = 0;
    Slice data{};
  };

  RecycledVector<std::byte> text;
  RecycledVector<Piece> pieces;

  size_t size() const;
};

// kStream: within a ModelStreamInferResponse, with the parameter `triton_final_response`.
enum class InferForm { kUnary, kStream };

// Writes a response to a request, or a part of one: its outputs in the order of the definition,
// those that `preferences` lists or all. `final` is for streams: whether none follows. Tensors are
// never copied. Precondition: the response's status is OK.
//
// INVALID_ARGUMENT where an output cannot have the form asked for (classes, shared memory),
// RESOURCE_EXHAUSTED when there is no memory, or the message is larger than one can be.
Result<EncodedMessage> EncodeInferProto(const Request& request, const Response& response,
                                        const OutputPreferences& preferences, InferForm form,
                                        bool final, Allocator& allocator);

// What a stream says of a request that failed. RESOURCE_EXHAUSTED when there is no memory, or that
// is larger than a message can be.
Result<EncodedMessage> EncodeStreamError(std::string_view id, std::string_view message);

}  // namespace despina::protocol
