// The generate extension: requests and responses as flat JSON objects.
#pragma once

#include <memory>

#include "base/status.h"
#include "engine/request.h"
#include "memory/allocator.h"
#include "memory/buffer.h"

namespace despina::protocol {

// Reads {"id": ..., "<input>": value or array, "<parameter>": value, "parameters": {...}, ...}.
// What is named like an input of the model is one, in the object `parameters` too; everything else
// is a parameter of the request. The shape of an input that is no array nested like a tensor of the
// model's comes from its definition: see the cc. Precondition: `model` is one.
//
// INVALID_ARGUMENT for anything wrong in the request; RESOURCE_EXHAUSTED.
Result<std::unique_ptr<Request>> ParseGenerate(ModelRef model, const Slice& body,
                                               Allocator& allocator);

// Writes {"<output>": value or array, "id": ..., "model_name": ..., "model_version": ..., and the
// response's parameters}; an output of one element is a value. Errors as those of EncodeInfer.
Result<Slice> EncodeGenerate(const Request& request, const Response& response,
                             Allocator& allocator);

}  // namespace despina::protocol
