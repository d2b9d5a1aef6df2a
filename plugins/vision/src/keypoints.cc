#include "keypoints.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace vision {

namespace {

constexpr double kEpsilon = 1e-10;
constexpr int kReach = 2;   // cells around the peak that the expansion looks at
constexpr int kRadius = 5;  // of the Gaussian, in cells
constexpr int kTaps = 2 * kRadius + 1;
constexpr int kSide = 2 * kReach + 1;
constexpr int kAround = kReach + kRadius;

// Of 2 cells, with which networks of this kind are trained to answer.
std::array<double, kTaps> Gaussian() {
  constexpr double kSigma = 2;
  std::array<double, kTaps> kernel{};
  double sum = 0;
  for (int i = 0; i < kTaps; ++i) {
    const double distance = i - kRadius;
    kernel[static_cast<size_t>(i)] = std::exp(-distance * distance / (2 * kSigma * kSigma));
    sum += kernel[static_cast<size_t>(i)];
  }
  for (double& weight : kernel) weight /= sum;
  return kernel;
}

// The square around a peak after a Gaussian, as logarithms. Only what is looked at is computed.
class LogPatch {
 public:
  LogPatch(const Heatmap& heatmap, const Peak& peak) {
    static const std::array<double, kTaps> kernel = Gaussian();
    double rows[2 * kAround + 1][kSide] = {};
    for (int r = 0; r < 2 * kAround + 1; ++r) {
      for (int c = 0; c < kSide; ++c) {
        for (int k = 0; k < kTaps; ++k) {
          rows[r][c] += kernel[static_cast<size_t>(k)] *
                        static_cast<double>(
                            heatmap.At(peak.column - kAround + c + k, peak.row - kAround + r));
        }
      }
    }
    for (int r = 0; r < kSide; ++r) {
      for (int c = 0; c < kSide; ++c) {
        double sum = 0;
        for (int k = 0; k < kTaps; ++k) sum += kernel[static_cast<size_t>(k)] * rows[r + k][c];
        log_[r][c] = std::log(std::max(sum, kEpsilon));
      }
    }
  }

  // Counted from the peak.
  double operator()(int x, int y) const { return log_[kReach + y][kReach + x]; }

 private:
  double log_[kSide][kSide];
};

double Sign(float value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

}  // namespace

Peak FindPeak(const Heatmap& heatmap) {
  const ptrdiff_t size = static_cast<ptrdiff_t>(heatmap.width) * heatmap.height;
  const auto value_at = [&](ptrdiff_t i) {
    return std::isfinite(heatmap.values[i]) ? heatmap.values[i] : 0.0F;
  };
  ptrdiff_t highest = 0;
  float value = value_at(0);
  for (ptrdiff_t i = 1; i < size; ++i) {
    if (value_at(i) <= value) continue;
    highest = i;
    value = value_at(i);
  }
  return {static_cast<int>(highest % heatmap.width), static_cast<int>(highest / heatmap.width),
          value};
}

Shift NoShift(const Heatmap&, const Peak&) { return {}; }

Shift QuarterShift(const Heatmap& heatmap, const Peak& peak) {
  const auto [column, row, value] = peak;
  Shift shift;
  if (column > 0 && column < heatmap.width - 1) {
    shift.x = 0.25 * Sign(heatmap.At(column + 1, row) - heatmap.At(column - 1, row));
  }
  if (row > 0 && row < heatmap.height - 1) {
    shift.y = 0.25 * Sign(heatmap.At(column, row + 1) - heatmap.At(column, row - 1));
  }
  return shift;
}

Shift DarkShift(const Heatmap& heatmap, const Peak& peak) {
  if (!heatmap.Holds(peak.column - kReach, peak.row - kReach) ||
      !heatmap.Holds(peak.column + kReach, peak.row + kReach)) {
    return {};
  }
  const LogPatch log(heatmap, peak);
  const double dx = (log(1, 0) - log(-1, 0)) / 2;
  const double dy = (log(0, 1) - log(0, -1)) / 2;
  const double dxx = (log(2, 0) - 2 * log(0, 0) + log(-2, 0)) / 4;
  const double dyy = (log(0, 2) - 2 * log(0, 0) + log(0, -2)) / 4;
  const double dxy = (log(1, 1) - log(1, -1) - log(-1, 1) + log(-1, -1)) / 4;
  const double determinant = dxx * dyy - dxy * dxy;
  if (!(determinant > kEpsilon && dxx < 0)) return {};
  return {std::clamp((dxy * dy - dyy * dx) / determinant, -1.0, 1.0),
          std::clamp((dxy * dx - dxx * dy) / determinant, -1.0, 1.0)};
}

}  // namespace vision
