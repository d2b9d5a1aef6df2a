#include "taps.h"

#include <algorithm>
#include <cmath>

namespace vision {

namespace {

// Of pixels at distances 1 + f, f, 1 - f and 2 - f. Source: R. Keys, "Cubic Convolution
// Interpolation for Digital Image Processing", 1981, with a = -0.75.
void CubicWeights(double f, double* weights) {
  constexpr double a = -0.75;
  const auto outer = [](double x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; };
  const auto inner = [](double x) { return ((a + 2) * x - (a + 3)) * x * x + 1; };
  weights[0] = outer(1 + f);
  weights[1] = inner(f);
  weights[2] = inner(1 - f);
  weights[3] = 1 - weights[0] - weights[1] - weights[2];
}

// Fills in the samples one by one.
class Maker {
 public:
  Maker(int samples, int length, int count) : length_(length) {
    taps_.count = std::min(count, length);
    taps_.first.reserve(static_cast<size_t>(samples));
    taps_.weights.assign(static_cast<size_t>(samples) * static_cast<size_t>(taps_.count), 0);
  }

  // The next sample begins at or after this pixel, which need not exist.
  void Begin(double pixel) {
    taps_.first.push_back(static_cast<int>(std::clamp<double>(pixel, 0, length_ - taps_.count)));
    weights_ = taps_.weights.data() + (taps_.samples() - 1) * static_cast<size_t>(taps_.count);
  }
  // A pixel beyond an end is the one at that end.
  void Add(double pixel, double weight) {
    const int at = static_cast<int>(std::clamp<double>(pixel, 0, length_ - 1));
    weights_[at - taps_.first.back()] += static_cast<float>(weight);
  }
  Taps Take() { return std::move(taps_); }

 private:
  Taps taps_;
  const int length_;
  float* weights_ = nullptr;
};

Taps MakeCubic(double start, double step, int samples, int length) {
  Maker maker(samples, length, 4);
  for (int i = 0; i < samples; ++i) {
    const double place = start + i * step, whole = std::floor(place);
    double weights[4];
    CubicWeights(place - whole, weights);
    maker.Begin(whole - 1);
    for (int k = 0; k < 4; ++k) maker.Add(whole - 1 + k, weights[k]);
  }
  return maker.Take();
}

// Linear between the means of blocks, which are counted from the first pixel of the axis: so a crop
// shows what a larger one shows there. A last block that is cut off is completed from its end.
Taps MakeBlocks(double start, double step, int samples, int length, int block) {
  const double blocks = std::ceil(static_cast<double>(length) / block);
  Maker maker(samples, length, 2 * block);
  for (int i = 0; i < samples; ++i) {
    const double place = (start + i * step + 0.5) / block - 0.5;
    const double whole = std::floor(place), share = place - whole;
    const double before = std::clamp(whole, 0.0, blocks - 1);
    const double after = std::clamp(whole + 1, 0.0, blocks - 1);
    maker.Begin(before * block);
    for (int k = 0; k < block; ++k) {
      maker.Add(before * block + k, (1 - share) / block);
      maker.Add(after * block + k, share / block);
    }
  }
  return maker.Take();
}

}  // namespace

Range Taps::pixels() const {
  const auto [least, most] = std::minmax_element(first.begin(), first.end());
  return {*least, *most + count};
}

Taps MakeTaps(double start, double step, int samples, int length, Interpolation interpolation) {
  if (interpolation == Interpolation::kCubic) return MakeCubic(start, step, samples, length);
  const double fitting = std::floor(std::abs(step));
  const bool area = interpolation == Interpolation::kArea;
  const int block = area ? static_cast<int>(std::clamp<double>(fitting, 1, length)) : 1;
  return MakeBlocks(start, step, samples, length, block);
}

}  // namespace vision
