// Inference requests as they come over gRPC: messages inference.ModelInferRequest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"
#include "engine/request.h"
#include "memory/allocator.h"
#include "memory/buffer.h"
#include "memory/shared_regions.h"
#include "protocol/infer_request.h"

namespace despina::protocol {

// Whom a request is for. Views of its message; empty where it says nothing.
struct InferTarget {
  std::string_view model;
  std::string_view version;
  std::string_view id;
};

// INVALID_ARGUMENT for a message that is malformed at its top level.
Result<InferTarget> PeekInferTarget(std::span<const std::byte> message);

// Reads an inference request. Raw inputs that are aligned, and all raw BYTES inputs, are views on
// `message`; other data is put into buffers of `allocator`. Names are resolved against the model;
// what Model::Prepare checks (datatypes, shapes, sizes, missing inputs) is left to it.
// Preconditions: `model` is one, and PeekInferTarget() took the message: the model's name and
// version are not looked at again.
//
// INVALID_ARGUMENT for anything wrong in the request, NOT_FOUND for an unknown region of shared
// memory, RESOURCE_EXHAUSTED when `allocator` has no memory.
Result<InferRequest> ParseInferProto(ModelRef model, const Slice& message,
                                     const SharedRegions& regions, Allocator& allocator);

// Where in a message of which only the beginning is there the bytes of the first raw input begin;
// nothing unless all before them is there. A message placed so that these bytes are aligned has an
// input that need not be copied.
std::optional<uint64_t> RawContentsOffset(std::span<const std::byte> beginning);

}  // namespace despina::protocol
