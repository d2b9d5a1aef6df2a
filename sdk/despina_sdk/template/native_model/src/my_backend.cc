// A model: replace the sums with your network.
#include <despina/backend.hpp>

namespace {

struct Model {
  explicit Model(const despina::ModelSpec&) {}
  despina::Signature signature() const {
    return {{{"X", despina::FP32, {4}}}, {{"Y", despina::FP32, {2}}}, 8};
  }
};

struct Instance {
  Instance(Model&, const despina::Placement&) {}

  // All rows of the batch at once: X is [rows, 4], Y [rows, 2].
  void execute(despina::Batch& batch) {
    const auto x = batch.gather<float>(0);
    const auto y = batch.allocate<float>(0, {x.shape()[0], 2});
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t first = i / 2 * 4 + i % 2;
      y[i] = x[first] + x[first + 2];
    }
  }
};

}  // namespace

DESPINA_BACKEND(my_backend, Model, Instance)
