// Keypoints from heatmaps. A heatmap is one keypoint's map of evidence; its cells are counted from
// the centre of the first, which is (0, 0). A value that is NaN or infinite counts as 0.
#pragma once

#include <cmath>
#include <cstddef>

namespace vision {

// A view of one heatmap.
struct Heatmap {
  const float* values;
  int width;
  int height;

  bool Holds(int column, int row) const {
    return 0 <= column && column < width && 0 <= row && row < height;
  }
  // 0 outside.
  float At(int column, int row) const {
    if (!Holds(column, row)) return 0;
    const float value = values[row * static_cast<ptrdiff_t>(width) + column];
    return std::isfinite(value) ? value : 0;
  }
};

struct Peak {
  int column = 0;
  int row = 0;
  float value = 0;
};

// Along x and y, in cells.
struct Shift {
  double x = 0;
  double y = 0;
};

// The highest cell; of equals the first. Precondition: the map has cells.
Peak FindPeak(const Heatmap& heatmap);

// How a place between cells is found.
using Refinement = Shift (*)(const Heatmap& heatmap, const Peak& peak);

// Keeps the centre of the highest cell.
Shift NoShift(const Heatmap& heatmap, const Peak& peak);

// A quarter of a cell toward the higher neighbour, along each axis. A peak on the border has no
// neighbour on one side and stays where it is along that axis.
//
// Source: A. Newell, K. Yang, J. Deng, "Stacked Hourglass Networks for Human Pose Estimation", ECCV
// 2016; used likewise by B. Xiao, H. Wu, Y. Wei, "Simple Baselines for Human Pose Estimation and
// Tracking", ECCV 2018.
Shift QuarterShift(const Heatmap& heatmap, const Peak& peak);

// To the top of the parabola that fits the logarithm of the smoothed map at its peak. There is no
// shift where that has no maximum, nor for peaks closer than two cells to the border, and never
// more than a cell.
//
// Source: F. Zhang, X. Zhu, H. Dai, M. Ye, C. Zhu, "Distribution-Aware Coordinate Representation
// for Human Pose Estimation" (DARK), CVPR 2020: the map is modulated with a Gaussian, the second
// order Taylor expansion of its logarithm gives the shift.
Shift DarkShift(const Heatmap& heatmap, const Peak& peak);

}  // namespace vision
