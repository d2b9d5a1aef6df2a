// Tensors that backends give, and outputs that they ask for.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fuzzing.h"
#include "host/outputs.h"
#include "host/translate.h"
#include "memory/pool.h"

namespace despina::host {
namespace {

// A size that is not checked before it is allocated is refused by this one, or ends in a finding.
constexpr size_t kMemory = size_t{1} << 20;
BufferPool& Memory() {
  static BufferPool pool({.max_bytes_in_use = kMemory});
  return pool;
}

despina_datatype Datatype(FuzzedDataProvider& in) {
  if (in.ConsumeBool())
    return ToAbi(static_cast<DataType>(in.ConsumeIntegralInRange<size_t>(0, kDataTypes - 1)));
  return {in.ConsumeIntegral<uint8_t>(), in.ConsumeIntegral<uint8_t>(),
          in.ConsumeIntegral<uint16_t>()};
}

int64_t Dim(FuzzedDataProvider& in) {
  return in.ConsumeBool() ? in.ConsumeIntegralInRange<int64_t>(0, 9)
                          : in.ConsumeIntegral<int64_t>();
}

// A shape in memory of its own, so that reading on is found.
struct Dims {
  explicit Dims(FuzzedDataProvider& in)
      : ndim(in.ConsumeBool() ? in.ConsumeIntegralInRange(0, 4) : in.ConsumeIntegral<int32_t>()) {
    if (in.ConsumeProbability<float>() > 0.95F) return;
    const size_t rank = ndim >= 0 && ndim <= 16 ? static_cast<size_t>(ndim) : 0;
    dims = std::make_unique<int64_t[]>(rank);
    for (size_t i = 0; i < rank; ++i) dims[i] = Dim(in);
  }

  int32_t ndim;
  std::unique_ptr<int64_t[]> dims;
};

// Bytes of a shape, not as the engine counts them. Nothing when they do not fit.
std::optional<uint64_t> Expected(const Shape& shape, uint64_t element) {
  if (std::ranges::any_of(shape.dims(), [](int64_t dim) { return dim < 0; })) return std::nullopt;
  if (std::ranges::find(shape.dims(), 0) != shape.dims().end()) return 0;
  unsigned __int128 bytes = element;
  for (const int64_t dim : shape.dims()) {
    bytes *= static_cast<uint64_t>(dim);
    if (bytes > UINT64_MAX) return std::nullopt;
  }
  return static_cast<uint64_t>(bytes);
}

// A tensor of a backend's, with the memory that it says to have.
class Gift {
 public:
  explicit Gift(FuzzedDataProvider& in) : dims_(in) {
    despina_tensor& tensor = owned_.tensor;
    tensor.shape = dims_.dims.get();
    tensor.ndim = dims_.ndim;
    tensor.datatype = Datatype(in);
    tensor.device = {DESPINA_DEVICE_CPU, 0};
    if (in.ConsumeProbability<float>() > 0.95F) tensor.device.type = in.ConsumeIntegral<int32_t>();
    if (tensor.datatype.code == DESPINA_TYPE_BYTES) {
      FillWithTexts(in);
    } else {
      Fill(in);
    }
    owned_.owner = this;
    if (in.ConsumeProbability<float>() < 0.95F) owned_.release = Release;
  }
  despina_tensor_owned& owned() { return owned_; }
  const std::vector<std::string>& texts() const { return texts_; }
  int releases() const { return releases_; }

 private:
  static void Release(despina_tensor_owned* self) {
    Gift& gift = *static_cast<Gift*>(self->owner);
    ++gift.releases_;
    gift.memory_.reset();
  }

  // As many bytes as the shape takes, or not.
  void Fill(FuzzedDataProvider& in) {
    despina_tensor& tensor = owned_.tensor;
    uint64_t size = in.ConsumeIntegralInRange<uint64_t>(0, 64);
    if (dims_.dims && in.ConsumeBool()) {
      const Result<Shape> shape = ShapeOf(dims_.dims.get(), dims_.ndim, "shape");
      if (shape.ok()) size = Expected(*shape, tensor.datatype.bits / 8).value_or(size);
    }
    tensor.byte_size = size;
    if (size > kMemory || in.ConsumeProbability<float>() > 0.95F) return;
    memory_ = std::make_unique<std::byte[]>(size);
    tensor.data = memory_.get();
  }

  void FillWithTexts(FuzzedDataProvider& in) {
    despina_tensor& tensor = owned_.tensor;
    const auto count = in.ConsumeIntegralInRange<size_t>(0, 20);
    if (in.ConsumeBool()) {
      dims_.ndim = tensor.ndim = 1;
      dims_.dims = std::make_unique<int64_t[]>(1);
      dims_.dims[0] = static_cast<int64_t>(count);
      tensor.shape = dims_.dims.get();
    }
    // Perhaps where no despina_str can lie.
    const size_t shift = in.ConsumeBool() ? 0 : in.ConsumeIntegralInRange<size_t>(0, 8);
    tensor.byte_size = count * sizeof(despina_str);
    memory_ = std::make_unique<std::byte[]>(tensor.byte_size + shift);
    tensor.data = memory_.get() + shift;
    texts_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      texts_[i] = in.ConsumeRandomLengthString(40);
      despina_str text = ToAbi(texts_[i]);
      if (in.ConsumeProbability<float>() > 0.95F) {
        // Too long to be read.
        text.size = UINT32_MAX + uint64_t{1} + in.ConsumeIntegral<uint32_t>();
      } else if (in.ConsumeProbability<float>() > 0.95F) {
        text = {nullptr, in.ConsumeIntegral<uint32_t>()};
        texts_[i].clear();
      }
      std::memcpy(memory_.get() + shift + i * sizeof text, &text, sizeof text);
    }
  }

  Dims dims_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<std::string> texts_;
  despina_tensor_owned owned_{};
  int releases_ = 0;
};

void CheckTexts(const Tensor& tensor, const std::vector<std::string>& texts) {
  BytesReader reader(tensor.data.bytes());
  for (const std::string& text : texts) {
    const auto element = reader.Next();
    Require(element && std::string_view(reinterpret_cast<const char*>(element->data()),
                                        element->size()) == text,
            "the elements are those that were given");
  }
  Require(!reader.Next() && reader.ok(), "there are no others");
  Require(ElementCount(tensor.shape) == texts.size(), "the shape has as many elements");
}

// The engine's tensor, and that of the backend it was made of.
void CheckTaken(const GivenTensor& given, Gift& gift) {
  const Tensor& tensor = given.tensor();
  const despina_tensor& from = gift.owned().tensor;
  Require(FromAbi(from.datatype) == tensor.datatype, "the datatype is the same");
  if (tensor.datatype == DataType::kBytes) return CheckTexts(tensor, gift.texts());
  Require(tensor.data.size() == Expected(tensor.shape, ElementSize(tensor.datatype)),
          "the bytes are those of the shape");
  Require(tensor.data.data() == from.data, "nothing is copied");
}

void CheckGiven(FuzzedDataProvider& in) {
  Gift gift(in);
  std::optional<Tensor> kept;
  bool accepted = false;
  {
    Result<GivenTensor> given = GivenTensor::Make(gift.owned(), Memory());
    Require(given.ok() || !given.status().message().empty(), "a refusal has a reason");
    if (given.ok()) {
      CheckTaken(*given, gift);
      if (in.ConsumeBool()) kept = given->tensor();
      Require(gift.releases() == 0, "nothing is released before it is accepted");
      accepted = in.ConsumeBool();
      if (accepted) given->Accept();
    }
  }
  const bool in_place = kept && kept->datatype != DataType::kBytes;
  Require(gift.releases() == (accepted && !in_place ? 1 : 0), "released with the last reader");
  kept.reset();
  Require(gift.releases() == (accepted ? 1 : 0), "released once, and only what was accepted");
}

void CheckAllocated(FuzzedDataProvider& in) {
  const despina_datatype datatype = Datatype(in);
  const Dims dims(in);
  const Result<Tensor> output = AllocateOutput(datatype, dims.dims.get(), dims.ndim, Memory());
  if (!output.ok()) {
    Require(!output.status().message().empty(), "a refusal has a reason");
    return;
  }
  Require(FromAbi(datatype) == output->datatype, "the datatype is the one asked for");
  Require(output->data.size() == Expected(output->shape, ElementSize(output->datatype)),
          "the bytes are those of the shape");
  Require(output->data.size() <= kMemory && output->data.aligned(), "memory is there");
  Buffer buffer = output->data.buffer();
  for (std::byte& each : buffer.writable()) each = std::byte{1};
}

}  // namespace
}  // namespace despina::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  despina::host::CheckGiven(in);
  despina::host::CheckAllocated(in);
  despina::Require(despina::host::Memory().statistics().bytes_in_use == 0, "nothing is kept");
  return 0;
}
