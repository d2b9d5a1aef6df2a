// Inference requests as they come over HTTP.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "memory/allocator.h"
#include "memory/buffer.h"
#include "memory/shared_regions.h"
#include "protocol/infer_request.h"

namespace despina::protocol {

// Bytes that should follow the JSON part within the buffer of the body, whatever they hold; the
// binary tensors count. Where there are fewer the JSON part is copied before it is parsed.
inline constexpr size_t kJsonPadding = 64;

// Reads an inference request. `json_size` is what Inference-Header-Content-Length says: so many
// bytes of `body` are JSON and the rest are binary tensors; nothing: all is JSON. 0, or an empty
// body: the body is the model's only input.
//
// Binary tensors that are aligned, and all BYTES tensors, are views on `body`; other data is put
// into buffers of `allocator`. Names are resolved against the model; what Model::Prepare checks
// (datatypes, shapes, sizes, missing inputs) is left to it. Precondition: `model` is one.
//
// INVALID_ARGUMENT for anything wrong in the request, NOT_FOUND for an unknown region of shared
// memory, RESOURCE_EXHAUSTED when `allocator` has no memory.
Result<InferRequest> ParseInfer(ModelRef model, const Slice& body,
                                std::optional<uint64_t> json_size, const SharedRegions& regions,
                                Allocator& allocator);

}  // namespace despina::protocol
