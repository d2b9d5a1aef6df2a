// Typed contents of inputs: elements as numbers and strings of protobuf.
#pragma once

#include <string_view>

#include "base/status.h"
#include "engine/tensor.h"
#include "memory/allocator.h"

namespace despina::protocol {

// The data that the field `contents` of a message InferInputTensor holds, as many elements as there
// are. `input` and `model` are for error texts. Within ParsingProto().
//
// INVALID_ARGUMENT for elements of another datatype, and FP16 and BF16 have none; for a value that
// is out of the datatype's range. RESOURCE_EXHAUSTED when `allocator` has no memory.
Result<Slice> DecodeContents(std::string_view input_tensor, DataType datatype,
                             std::string_view input, std::string_view model, Allocator& allocator);

}  // namespace despina::protocol
