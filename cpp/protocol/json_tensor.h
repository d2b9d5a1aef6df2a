// Tensor data as JSON.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "engine/tensor.h"
#include "memory/allocator.h"
#include "memory/buffer.h"
#include "protocol/json_value.h"
#include "protocol/text_buffer.h"

namespace despina::protocol {

// The elements of `data`, one or an array flat or nested in any way, in wire form. `input` is for
// error texts. No memory is taken before the elements are counted. INVALID_ARGUMENT where there are
// more or fewer elements than the shape has, or one does not fit the datatype; RESOURCE_EXHAUSTED.
Result<Slice> DecodeJsonTensor(std::string_view input, const JsonValue& data, DataType datatype,
                               const Shape& shape, Allocator& allocator);

// How many elements an array has, those within inner arrays counted; one for anything else.
uint64_t CountElements(const JsonValue& value);

// The elements as a flat array. INVALID_ARGUMENT where JSON cannot carry one; INTERNAL where data
// and shape do not agree.
Status AppendJsonTensor(std::string_view output, const Tensor& tensor, TextBuffer& text);
// The same, separated by commas, without the array around them.
Status AppendJsonElements(std::string_view output, const Tensor& tensor, TextBuffer& text);

}  // namespace despina::protocol
