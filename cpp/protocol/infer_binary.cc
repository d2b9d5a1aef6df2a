#include "protocol/infer_binary.h"

#include <atomic>
#include <charconv>
#include <cstring>
#include <limits>
#include <utility>

#include "base/text.h"
#include "memory/copy.h"

namespace despina::protocol {
namespace {

std::atomic<uint64_t> misaligned_copies{0};

// A copy with `prefix` bytes of room before it.
Result<Buffer> Copied(const Slice& data, size_t prefix, Allocator& allocator) {
  Result<Buffer> buffer = allocator.Allocate(prefix + data.size());
  if (!buffer.ok() || data.empty()) return buffer;
  CopyTensorData(buffer->writable().data() + prefix, data.data(), data.size());
  return buffer;
}

Status RawRefused(const ModelDefinition& model, std::string_view why) {
  return InvalidArgument(
      Concat("a raw binary request cannot be made to model '", model.name, "': ", why));
}

// The dims with the open axis worked out from the size of the body.
Result<Shape> DeducedShape(const ModelDefinition& model, uint64_t size) {
  const TensorDefinition& input = model.inputs.front();
  Shape shape = input.dims;
  uint64_t known = ElementSize(input.datatype);
  std::optional<size_t> open;
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] < 0) {
      if (open) {
        return RawRefused(model, Concat("the shape of input '", input.name,
                                        "' can not be deduced because more than one of its "
                                        "dimensions is variable"));
      }
      open = axis;
    } else if (__builtin_mul_overflow(known, static_cast<uint64_t>(shape[axis]), &known)) {
      return RawRefused(model, Concat("input '", input.name, "' is too large"));
    }
  }
  if (!open) return shape;
  if (known == 0 || size % known != 0) {
    return RawRefused(model, Concat("the shape of input '", input.name, "' can not be deduced: ",
                                    size, " bytes are not a multiple of ", known));
  }
  shape[*open] = static_cast<int64_t>(size / known);
  return shape;
}

// The body as the one element of a BYTES tensor.
Result<Slice> OneElement(const ModelDefinition& model, const Slice& body, Allocator& allocator) {
  const TensorDefinition& input = model.inputs.front();
  if (input.dims != Shape{1}) {
    return RawRefused(model, Concat("BYTES input '", input.name, "' must have shape [1]"));
  }
  if (body.size() > std::numeric_limits<uint32_t>::max()) {
    return RawRefused(model, "the body is too large for one element");
  }
  const auto length = static_cast<uint32_t>(body.size());
  Result<Buffer> buffer = Copied(body, sizeof length, allocator);
  if (!buffer.ok()) return buffer.status();
  std::memcpy(buffer->writable().data(), &length, sizeof length);
  return Slice(*std::move(buffer));
}

}  // namespace

Result<std::optional<uint64_t>> ParseJsonSize(std::optional<std::string_view> header,
                                              uint64_t content_length) {
  if (!header) return std::optional<uint64_t>();
  const char* const end = header->data() + header->size();
  int64_t size = 0;
  const auto [rest, error] = std::from_chars(header->data(), end, size);
  // A number that does not fit is out of the range as well, and is told so.
  if (error == std::errc::invalid_argument || rest != end) {
    return InvalidArgument(
        Concat("Unable to parse Inference-Header-Content-Length, got: ", *header));
  }
  if (error != std::errc() || size < 0 || static_cast<uint64_t>(size) > content_length) {
    return InvalidArgument(Concat("inference header size should be in range (0, ", content_length,
                                  "), got: ", *header));
  }
  return std::optional(static_cast<uint64_t>(size));
}

uint64_t MisalignedCopies() { return misaligned_copies.load(std::memory_order_relaxed); }

Result<Slice> InputData(Slice data, DataType datatype, Allocator& allocator) {
  if (datatype == DataType::kBytes || data.empty() || data.aligned()) return data;
  Result<Buffer> copy = Copied(data, 0, allocator);
  if (!copy.ok()) return copy.status();
  misaligned_copies.fetch_add(1, std::memory_order_relaxed);
  return Slice(*std::move(copy));
}

Result<Slice> BinaryTensors::Take(std::string_view input, DataType datatype, uint64_t size,
                                  Allocator& allocator) {
  if (size > rest_.size()) {
    return InvalidArgument(Concat("unexpected size for input '", input, "', expecting ",
                                  size - rest_.size(), " additional bytes for model '", model_,
                                  "'"));
  }
  Slice data = rest_.Part(0, size);
  rest_ = rest_.Part(size, rest_.size() - size);
  return InputData(std::move(data), datatype, allocator);
}

Status BinaryTensors::Finish() const {
  if (rest_.empty()) return Ok();
  return InvalidArgument(Concat("unexpected additional input data for model '", model_, "'"));
}

Result<Tensor> RawInput(const ModelDefinition& model, const Slice& body, Allocator& allocator) {
  if (model.inputs.size() != 1) {
    return RawRefused(model,
                      Concat("it must have exactly one input, but has ", model.inputs.size()));
  }
  Tensor tensor;
  tensor.datatype = model.inputs.front().datatype;
  if (tensor.datatype == DataType::kBytes) {
    Result<Slice> data = OneElement(model, body, allocator);
    if (!data.ok()) return data.status();
    tensor.data = *std::move(data);
    tensor.shape = Shape{1};
  } else {
    Result<Shape> shape = DeducedShape(model, body.size());
    if (!shape.ok()) return shape.status();
    Result<Slice> data = InputData(body, tensor.datatype, allocator);
    if (!data.ok()) return data.status();
    tensor.shape = *shape;
    tensor.data = *std::move(data);
  }
  if (model.batching_axis()) {
    if (tensor.shape.rank() == Shape::kMaxRank) return RawRefused(model, "its rank is too large");
    tensor.shape = tensor.shape.WithFirst(1);
  }
  return tensor;
}

}  // namespace despina::protocol
