// Draws a network's input out of decoded pixels: crop, resize, normalisation and layout in one
// pass.
#pragma once

#include "geometry.h"
#include "pixels.h"
#include "taps.h"
#include "tensor_format.h"

namespace vision {

struct Sampling {
  Interpolation interpolation = Interpolation::kLinear;
  int fill = 0;  // 0 to 255, of what is not looked up
};

// Fills a tensor by looking up, for each place of it, where that lies in the image. Samples beyond
// the edge of the image repeat the edge.
//
// `to_pixels` maps points of the network input to points of `pixels`, both in centres. Axes may be
// swapped and mirrored, but not rotated otherwise. What lies in `inside` is looked up.
//
// T is float, despina::Half or uint8_t. The tensor has format.elements() of them.
template <class T>
void Draw(const Pixels& pixels, const Transform& to_pixels, const Window& inside,
          const Sampling& sampling, const TensorFormat& format, T* tensor);

}  // namespace vision
