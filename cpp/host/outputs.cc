#include "host/outputs.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "base/text.h"
#include "host/translate.h"
#include "memory/copy.h"

namespace despina::host {
namespace {

constexpr std::string_view kWhat = "the tensor";

Status CheckPlace(const despina_tensor& tensor) {
  if (tensor.device.type != DESPINA_DEVICE_CPU && tensor.device.type != DESPINA_DEVICE_CUDA_HOST) {
    return {Code::kUnimplemented, Concat("the tensor is on a device of type ", tensor.device.type,
                                         ": this server takes tensors in the CPU's memory")};
  }
  if (tensor.byte_size > 0 && tensor.data == nullptr) {
    return InvalidArgument(Concat("the tensor has ", tensor.byte_size, " bytes, and no data"));
  }
  return Ok();
}

// Whether elements of BYTES may be read from there.
bool AlignedForTexts(const void* data) {
  return reinterpret_cast<uintptr_t>(data) % alignof(despina_str) == 0;
}

Result<DataType> DataTypeOf(despina_datatype datatype) {
  if (const auto known = FromAbi(datatype)) return *known;
  return InvalidArgument(Concat("no tensor has datatype (", datatype.code, ", ", datatype.bits,
                                ", ", datatype.lanes, ')'));
}

Status WrongSize(const despina_tensor& tensor, const Shape& shape) {
  return InvalidArgument(Concat("the tensor has ", tensor.byte_size,
                                " bytes, which is not what its shape ", ToText(shape), " takes"));
}

// As on the wire: each element's size, and the element.
Result<Slice> Packed(const despina_tensor& tensor, uint64_t count, Allocator& allocator) {
  const auto* elements = static_cast<const despina_str*>(tensor.data);
  uint64_t size = 0;
  for (uint64_t i = 0; i < count; ++i) {
    if (elements[i].size > UINT32_MAX || (elements[i].size > 0 && elements[i].data == nullptr)) {
      return InvalidArgument(
          Concat("element ", i, " of the tensor has ", elements[i].size,
                 elements[i].data == nullptr ? " bytes, and no data" : " bytes"));
    }
    size += sizeof(uint32_t) + elements[i].size;
  }
  Result<Buffer> buffer = allocator.Allocate(size);
  if (!buffer.ok()) return buffer.status();
  CountTensorCopy(size);
  std::byte* to = buffer->writable().data();
  for (uint64_t i = 0; i < count; ++i) {
    const auto length = static_cast<uint32_t>(elements[i].size);
    std::memcpy(to, &length, sizeof length);
    if (length > 0) std::memcpy(to + sizeof length, elements[i].data, length);
    to += sizeof length + length;
  }
  return Slice(*std::move(buffer));
}

}  // namespace

// Memory of a backend's. Unless it was accepted, its end is not told.
class GivenTensor::Given final : public Block {
 public:
  explicit Given(const despina_tensor_owned& given)
      : Block(static_cast<std::byte*>(given.tensor.data), given.tensor.byte_size), given_(given) {}
  void Accept() { accepted_ = true; }

 private:
  void Release() noexcept override {
    const std::unique_ptr<Given> self(this);
    if (accepted_) given_.release(&given_);
  }

  despina_tensor_owned given_;
  bool accepted_ = false;
};

Result<GivenTensor> GivenTensor::Make(despina_tensor_owned& given, Allocator& allocator) {
  const despina_tensor& from = given.tensor;
  if (given.release == nullptr) return InvalidArgument("the tensor has no release");
  if (Status status = CheckPlace(from); !status.ok()) return status;
  const Result<DataType> datatype = DataTypeOf(from.datatype);
  if (!datatype.ok()) return datatype.status();
  const Result<Shape> shape = ShapeOf(from.shape, from.ndim, kWhat);
  if (!shape.ok()) return shape.status();
  Tensor tensor{.datatype = *datatype, .shape = *shape, .data = {}};
  if (*datatype == DataType::kBytes) {
    const auto count = ElementCount(*shape);
    if (!count || *count > from.byte_size / sizeof(despina_str) ||
        *count * sizeof(despina_str) != from.byte_size) {
      return WrongSize(from, *shape);
    }
    if (!AlignedForTexts(from.data)) {
      return InvalidArgument("the tensor's elements do not lie where a despina_str can");
    }
    Result<Slice> packed = Packed(from, *count, allocator);
    if (!packed.ok()) return packed.status();
    tensor.data = *std::move(packed);
    return GivenTensor(std::move(tensor), given, nullptr);
  }
  if (ByteSize(*datatype, *shape) != from.byte_size) return WrongSize(from, *shape);
  auto block = std::make_unique<Given>(given);
  Given* kept = block.get();
  tensor.data = Slice(Buffer(block.release()));
  return GivenTensor(std::move(tensor), given, kept);
}

void GivenTensor::Accept() {
  if (block_ != nullptr) {
    block_->Accept();
  } else {
    given_->release(given_);
  }
}

Result<Tensor> AllocateOutput(despina_datatype datatype, const int64_t* dims, int32_t ndim,
                              Allocator& allocator) {
  const Result<DataType> known = DataTypeOf(datatype);
  if (!known.ok()) return known.status();
  if (*known == DataType::kBytes) {
    return InvalidArgument("BYTES are given, not written in place: their size is not known");
  }
  const Result<Shape> shape = ShapeOf(dims, ndim, kWhat);
  if (!shape.ok()) return shape.status();
  const auto size = ByteSize(*known, *shape);
  if (!size) return InvalidArgument(Concat("no tensor has shape ", ToText(*shape)));
  Result<Buffer> buffer = allocator.Allocate(*size);
  if (!buffer.ok()) return buffer.status();
  return Tensor{.datatype = *known, .shape = *shape, .data = Slice(*std::move(buffer))};
}

}  // namespace despina::host
