// Inference responses as they go over HTTP.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "memory/allocator.h"
#include "memory/buffer.h"
#include "protocol/infer_request.h"
#include "protocol/text_buffer.h"

namespace despina::protocol {

// The pieces of a body, to be sent one after the other. They keep the buffers that they lie in.
struct EncodedResponse {
  Slice json;
  // Binary outputs that have any bytes, in the order in which `json` names them.
  std::vector<Slice> tensors;

  // Whether the header Inference-Header-Content-Length has to say json.size().
  bool binary() const { return !tensors.empty(); }
  std::string_view content_type() const {
    return binary() ? "application/octet-stream" : "application/json";
  }
  // Content-Length.
  uint64_t size() const;
};

// Writes a response to a request, or a part of one: its outputs in the order of the definition,
// those that `preferences` lists or all. Precondition: the response's status is OK.
//
// INVALID_ARGUMENT where an output cannot have the form asked for: FP16, BF16, a float that is not
// finite or a string that is not UTF-8 as JSON, classes of a datatype that has none.
// RESOURCE_EXHAUSTED when `allocator` has no memory.
Result<EncodedResponse> EncodeInfer(const Request& request, const Response& response,
                                    const OutputPreferences& preferences, Allocator& allocator);

// A piece of a JSON text: the parameter's value. INTERNAL where it is no finite number.
Status AppendParameterValue(const Parameter& parameter, TextBuffer& text);

}  // namespace despina::protocol
