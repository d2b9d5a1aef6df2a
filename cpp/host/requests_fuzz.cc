// What backends see of BYTES that clients sent.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/fuzzing.h"
#include "host/requests.h"
#include "host/translate.h"

namespace despina::host {
namespace {

// The bytes in memory of their own, so that reading on is found.
class ClientBlock final : public Block {
 public:
  static Slice Of(const std::vector<uint8_t>& bytes) {
    auto memory = std::make_unique<std::byte[]>(bytes.size());
    if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
    return Slice(Buffer(std::make_unique<ClientBlock>(std::move(memory), bytes.size()).release()));
  }
  ClientBlock(std::unique_ptr<std::byte[]> memory, size_t size)
      : Block(memory.get(), size), memory_(std::move(memory)) {}

 private:
  void Release() noexcept override { const std::unique_ptr<ClientBlock> self(this); }

  std::unique_ptr<std::byte[]> memory_;
};

// The elements follow each other, each behind its size, from the first byte to the last.
void CheckElements(const despina_tensor& view, const Tensor& tensor) {
  const auto* at = reinterpret_cast<const char*>(tensor.data.data());
  const char* end = at + tensor.data.size();
  const auto* elements = static_cast<const despina_str*>(view.data);
  for (uint64_t i = 0; i < view.byte_size / sizeof(despina_str); ++i) {
    at += sizeof(uint32_t);
    Require(elements[i].data == at && elements[i].size <= static_cast<size_t>(end - at),
            "an element lies within the data, behind the one before");
    at += elements[i].size;
  }
  Require(at == end, "the elements are all of the data");
}

void CheckView(ElementsOfInputs& elements, uint32_t input, const Tensor& tensor) {
  const Result<despina_tensor> view = elements.View(input, tensor);
  if (tensor.datatype != DataType::kBytes) {
    Require(view.ok() && view->data == tensor.data.data() && view->byte_size == tensor.data.size(),
            "data is seen where it is");
    return;
  }
  const std::optional<uint64_t> count = CountElements(tensor.data.bytes());
  Require(view.ok() == count.has_value(), "data that ends within an element is not seen");
  if (!view.ok()) return;
  Require(view->byte_size == *count * sizeof(despina_str), "all elements are seen");
  CheckElements(*view, tensor);
  Require(elements.View(input, tensor)->data == view->data, "the elements are looked for once");
}

void Check(FuzzedDataProvider& in) {
  ElementsOfInputs elements;
  for (uint32_t input = in.ConsumeIntegralInRange<uint32_t>(0, 3); input < 4; ++input) {
    Tensor tensor;
    tensor.datatype =
        in.ConsumeBool()
            ? DataType::kBytes
            : static_cast<DataType>(in.ConsumeIntegralInRange<size_t>(0, kDataTypes - 1));
    const auto size = in.ConsumeIntegralInRange<size_t>(0, in.remaining_bytes());
    tensor.data = ClientBlock::Of(in.ConsumeBytes<uint8_t>(size));
    tensor.shape = Shape{static_cast<int64_t>(in.ConsumeIntegral<uint16_t>())};
    CheckView(elements, input, tensor);
    if (in.ConsumeBool()) elements.Clear();
  }
}

}  // namespace
}  // namespace despina::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  despina::host::Check(in);
  return 0;
}
