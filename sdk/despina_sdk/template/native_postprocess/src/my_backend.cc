// Scores in, the best of them out.
#include <algorithm>
#include <despina/backend.hpp>

namespace {

struct Model {
  explicit Model(const despina::ModelSpec&) {}
  despina::Signature signature() const {
    return {{{"SCORES", despina::FP32, {-1}}},
            {{"INDEX", despina::INT64, {1}}, {"SCORE", despina::FP32, {1}}},
            8};
  }
};

struct Instance {
  Instance(Model&, const despina::Placement&) {}

  // All rows of the batch at once: SCORES is [rows, classes], the others [rows, 1].
  void execute(despina::Batch& batch) {
    const auto scores = batch.gather<float>(0);
    const int64_t rows = scores.shape()[0], classes = scores.shape()[1];
    if (classes == 0) throw despina::InvalidArgument("there are no scores");
    const auto index = batch.allocate<int64_t>(0, {rows, 1});
    const auto score = batch.allocate<float>(1, {rows, 1});
    for (int64_t row = 0; row < rows; ++row) {
      const float* first = scores.data() + row * classes;
      index[row] = std::max_element(first, first + classes) - first;
      score[row] = first[index[row]];
    }
  }
};

}  // namespace

DESPINA_BACKEND(my_backend, Model, Instance)
