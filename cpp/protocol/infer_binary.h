// The binary tensor data extension: tensors behind the JSON part, or a body that is nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "engine/definition.h"
#include "engine/tensor.h"
#include "memory/allocator.h"
#include "memory/buffer.h"

namespace despina::protocol {

// Reads the header Inference-Header-Content-Length of a body of `content_length` bytes; nothing
// where the request has none. INVALID_ARGUMENT unless it is a number from 0 to `content_length`.
Result<std::optional<uint64_t>> ParseJsonSize(std::optional<std::string_view> header,
                                              uint64_t content_length);

// Tensors that had to be copied since the process started, because they were not aligned. Any
// thread.
uint64_t MisalignedCopies();

// Bytes of a message as the data of an input: a view where they are aligned or the datatype is
// BYTES, a copy otherwise. RESOURCE_EXHAUSTED when `allocator` has no memory.
Result<Slice> InputData(Slice data, DataType datatype, Allocator& allocator);

// The tensors behind the JSON part of one request, in the order of its inputs.
class BinaryTensors {
 public:
  // The model's name is for error texts; it must outlive this.
  BinaryTensors(Slice rest, std::string_view model) : rest_(std::move(rest)), model_(model) {}

  // The next `size` bytes, as InputData() gives them. INVALID_ARGUMENT where there are fewer.
  Result<Slice> Take(std::string_view input, DataType datatype, uint64_t size,
                     Allocator& allocator);
  // INVALID_ARGUMENT when data is left over.
  Status Finish() const;

 private:
  Slice rest_;
  std::string_view model_;
};

// A body without JSON is the data of the model's only input, in a batch of one; one axis of the
// input may be open. A BYTES input has one element, the body. INVALID_ARGUMENT where the model or
// the size does not allow that.
Result<Tensor> RawInput(const ModelDefinition& model, const Slice& body, Allocator& allocator);

}  // namespace despina::protocol
