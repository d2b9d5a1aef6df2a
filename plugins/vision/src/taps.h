// Which pixels along one axis each sample is made of, and with what weights.
#pragma once

#include <cstddef>
#include <vector>

#include "geometry.h"

namespace vision {

// Of the nearest two pixels; of the nearest four; of two neighbouring blocks of as many pixels as
// fit between two samples.
enum class Interpolation { kLinear, kCubic, kArea };

// Sample i is the sum of `count` pixels from first[i] on, each times its weight.
struct Taps {
  int count = 0;
  std::vector<int> first;
  std::vector<float> weights;  // count for each sample

  size_t samples() const { return first.size(); }
  const float* weights_of(size_t i) const {
    return weights.data() + i * static_cast<size_t>(count);
  }
  // Of all samples together.
  Range pixels() const;
};

// Sample i lies at place start + i * step, in centres; the axis has `length` pixels. What would lie
// beyond either end repeats the pixel at that end.
Taps MakeTaps(double start, double step, int samples, int length, Interpolation interpolation);

}  // namespace vision
