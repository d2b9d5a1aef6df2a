// Backend `pose_postprocess`: heatmaps in, keypoints in pixels of the original image out. The
// README says what its tensors and parameters mean.
#include <algorithm>
#include <cmath>
#include <despina/backend.hpp>
#include <string>

#include "keypoints.h"
#include "parameters.h"
#include "tensors.h"
#include "text.h"

namespace vision {

namespace {

constexpr Refinement kRefinements[] = {QuarterShift, DarkShift, NoShift};
constexpr size_t kTransformElements = 6;

// Cells along an axis of a heatmap: an input of image_preprocess has no more pixels.
constexpr int64_t kMaxSide = 16'384;

struct Options {
  explicit Options(const despina::ModelSpec& spec)
      : Options(Parameters(spec, {"input_width", "input_height", "refinement"})) {}
  explicit Options(const Parameters& parameters)
      : input_width(parameters.Integer("input_width", 0)),
        input_height(parameters.Integer("input_height", 0)),
        refine(kRefinements[parameters.Choice("refinement", {"quarter", "dark", "none"}, 0)]) {}

  // In pixels; 0: four times the heatmap's.
  const int64_t input_width;
  const int64_t input_height;
  const Refinement refine;
};

despina::Signature ReadSignature(const despina::ModelSpec& spec) {
  TensorSpecs inputs = Settle(
      spec, "input", spec.inputs(),
      {{"HEATMAPS", despina::FP32, {-1, -1, -1}}, {"INVERSE_TRANSFORM", despina::FP32, {2, 3}}},
      {"HEATMAPS", "INVERSE_TRANSFORM"});
  const int64_t keypoints = inputs[*Find(inputs, "HEATMAPS")].shape[0];
  TensorSpecs outputs = Settle(spec, "output", spec.outputs(),
                               {{"KEYPOINTS", despina::FP32, {keypoints, 3}}}, {"KEYPOINTS"});
  return {std::move(inputs), std::move(outputs)};
}

struct Model {
  explicit Model(const despina::ModelSpec& spec)
      : options(spec),
        tensors(ReadSignature(spec)),
        batching(spec.max_batch_size() > 0),
        heatmaps(*Find(tensors.inputs, "HEATMAPS")),
        inverse(*Find(tensors.inputs, "INVERSE_TRANSFORM")) {}
  despina::Signature signature() const { return tensors; }

  const Options options;
  const despina::Signature tensors;
  const bool batching;
  const uint32_t heatmaps;  // its place among the inputs
  const uint32_t inverse;   // likewise
};

bool AllFinite(const float* values, size_t count) {
  return std::all_of(values, values + count, [](float value) { return std::isfinite(value); });
}

// Throws despina::Error for heatmaps in which there is no peak to find. `shape` ends with
// keypoints, height and width.
void CheckShape(const despina::Shape& shape) {
  const int64_t height = shape[shape.rank() - 2], width = shape[shape.rank() - 1];
  const std::string about = "HEATMAPS of shape [" + std::to_string(shape[shape.rank() - 3]) + ", " +
                            std::to_string(height) + ", " + std::to_string(width) + "] have ";
  if (height == 0 || width == 0) throw despina::InvalidArgument(about + "no cells");
  if (height > kMaxSide || width > kMaxSide) {
    throw despina::InvalidArgument(about + "a side of more than " + std::to_string(kMaxSide) +
                                   " cells");
  }
}

// x, y and score of one heatmap.
void WriteKeypoint(const Heatmap& heatmap, const float* inverse, const Options& options,
                   float* to) {
  const auto pixels = [](int64_t configured, int cells) {
    return static_cast<double>(configured > 0 ? configured : 4 * int64_t{cells}) / cells;
  };
  const Peak peak = FindPeak(heatmap);
  const Shift shift = options.refine(heatmap, peak);
  const double x = (peak.column + shift.x) * pixels(options.input_width, heatmap.width);
  const double y = (peak.row + shift.y) * pixels(options.input_height, heatmap.height);
  to[0] = static_cast<float>(inverse[0] * x + inverse[1] * y + inverse[2]);
  to[1] = static_cast<float>(inverse[3] * x + inverse[4] * y + inverse[5]);
  to[2] = peak.value;
}

class Instance {
 public:
  Instance(Model& model, const despina::Placement&) : model_(model) {}

  void execute(despina::Batch& batch) {
    const auto heatmaps = batch.gather<float>(model_.heatmaps);
    const auto inverse = batch.gather<float>(model_.inverse);
    const despina::Shape& shape = heatmaps.shape();
    CheckShape(shape);
    const auto kinds = static_cast<size_t>(shape[shape.rank() - 3]);
    size_t row = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      const despina::Request request = batch[i];
      const auto rows = static_cast<size_t>(request.rows());
      const float* transforms = inverse.data() + row * kTransformElements;
      if (AllFinite(transforms, rows * kTransformElements)) {
        Answer(request, rows, kinds, heatmaps, row, transforms);
      } else {
        request.fail(despina::InvalidArgument("INVERSE_TRANSFORM has values that are not finite"));
      }
      row += rows;
    }
  }

 private:
  void Answer(const despina::Request& request, size_t rows, size_t kinds,
              const despina::TensorView<const float>& heatmaps, size_t first_row,
              const float* transforms) const {
    const despina::Shape& shape = heatmaps.shape();
    const auto height = static_cast<int>(shape[shape.rank() - 2]);
    const auto width = static_cast<int>(shape[shape.rank() - 1]);
    const auto count = static_cast<int64_t>(kinds);
    const auto keypoints = request.allocate<float>(
        0, model_.batching ? despina::Shape{static_cast<int64_t>(rows), count, 3}
                           : despina::Shape{count, 3});
    const size_t cells = static_cast<size_t>(width) * static_cast<size_t>(height);
    for (size_t i = 0; i < rows * kinds; ++i) {
      const Heatmap heatmap{heatmaps.data() + (first_row * kinds + i) * cells, width, height};
      WriteKeypoint(heatmap, transforms + i / kinds * kTransformElements, model_.options,
                    keypoints.data() + 3 * i);
    }
    request.complete();
  }

  const Model& model_;
};

}  // namespace

}  // namespace vision

DESPINA_BACKEND(pose_postprocess, vision::Model, vision::Instance)
