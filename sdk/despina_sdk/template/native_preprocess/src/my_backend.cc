// Bytes in, a tensor out. A request whose bytes are wrong fails alone.
#include <despina/backend.hpp>
#include <string>

namespace {

constexpr size_t kSize = 16;

struct Model {
  explicit Model(const despina::ModelSpec&) {}
  despina::Signature signature() const {
    return {{{"RAW", despina::BYTES, {1}}}, {{"TENSOR", despina::FP32, {kSize}}}, 8};
  }
};

void Convert(const despina::Request& request) {
  const auto raw = request.input<despina::Text>(0);
  const auto tensor = request.allocate<float>(0, {raw.shape()[0], kSize});
  for (size_t i = 0; i < tensor.size(); ++i) {
    const std::string_view bytes = raw[i / kSize];
    if (bytes.size() != kSize) {
      const std::string got = std::to_string(bytes.size());
      return request.fail(despina::InvalidArgument("expected 16 bytes, got " + got));
    }
    tensor[i] = static_cast<unsigned char>(bytes[i % kSize]) / 255.0F;
  }
}

struct Instance {
  Instance(Model&, const despina::Placement&) {}

  void execute(despina::Batch& batch) {
    for (size_t i = 0; i < batch.size(); ++i) Convert(batch[i]);
  }
};

}  // namespace

DESPINA_BACKEND(my_backend, Model, Instance)
