#include "geometry.h"

#include <algorithm>
#include <cmath>

namespace vision {

namespace {

// Around a point of it that stays: 0.5 is the middle, 0 the first edge.
Box Resized(const Box& box, double width, double height, double anchor) {
  return {box.x - (width - box.width) * anchor, box.y - (height - box.height) * anchor, width,
          height};
}

// The smallest box of that width to height around the box.
Box ExtendToAspect(const Box& box, double aspect, double anchor) {
  return Resized(box, std::max(box.width, box.height * aspect),
                 std::max(box.height, box.width / aspect), anchor);
}

Range Inside(double start, double length, double region_start, double region_length, int pixels) {
  const double scale = pixels / region_length;
  // Centre i + 0.5 lies in a half-open range, all in edges of the input.
  const auto first_at = [&](double edge) {
    const double place = (edge - region_start) * scale - 0.5;
    return static_cast<int>(std::ceil(std::clamp(place, 0.0, static_cast<double>(pixels))));
  };
  const int begin = first_at(start);
  return {begin, std::max(begin, first_at(start + length))};
}

}  // namespace

Transform Compose(const Transform& outer, const Transform& inner) {
  Transform result{};
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      result.m[i][j] = outer.m[i][0] * inner.m[0][j] + outer.m[i][1] * inner.m[1][j];
    }
    result.m[i][2] += outer.m[i][2];
  }
  return result;
}

Transform BetweenCentres(const Transform& between_edges) {
  Transform result = between_edges;
  for (auto& row : result.m) row[2] += 0.5 * row[0] + 0.5 * row[1] - 0.5;
  return result;
}

Box Intersection(const Box& a, const Box& b) {
  const double left = std::max(a.x, b.x), top = std::max(a.y, b.y);
  const double right = std::min(a.x + a.width, b.x + b.width);
  const double bottom = std::min(a.y + a.height, b.y + b.height);
  return {left, top, std::max(0.0, right - left), std::max(0.0, bottom - top)};
}

Box RegionToInput(const Box& box, const Framing& framing, Size input) {
  if (framing.fit == Fit::kStretch) return box;
  const double aspect = static_cast<double>(input.width) / input.height;
  if (framing.fit == Fit::kLetterbox) {
    return ExtendToAspect(box, aspect, framing.align == Align::kCenter ? 0.5 : 0.0);
  }
  const Box extended = ExtendToAspect(box, aspect, 0.5);
  return Resized(extended, extended.width * framing.padding, extended.height * framing.padding,
                 0.5);
}

Transform InverseTransform(const Box& region, Size input) {
  return BetweenCentres(
      {{{region.width / input.width, 0, region.x}, {0, region.height / input.height, region.y}}});
}

Transform UprightToStored(int orientation, Size stored, int reduction) {
  const double width = stored.width, height = stored.height;
  const Transform between_edges[8] = {
      {{{1, 0, 0}, {0, 1, 0}}},
      {{{-1, 0, width}, {0, 1, 0}}},
      {{{-1, 0, width}, {0, -1, height}}},
      {{{1, 0, 0}, {0, -1, height}}},
      {{{0, 1, 0}, {1, 0, 0}}},
      {{{0, 1, 0}, {-1, 0, height}}},
      {{{0, -1, width}, {-1, 0, height}}},
      {{{0, -1, width}, {1, 0, 0}}},
  };
  Transform result = between_edges[orientation - 1];
  for (auto& row : result.m) {
    for (double& value : row) value /= reduction;
  }
  return BetweenCentres(result);
}

Window PixelsInside(const Box& visible, const Box& region, Size input) {
  return {Inside(visible.y, visible.height, region.y, region.height, input.height),
          Inside(visible.x, visible.width, region.x, region.width, input.width)};
}

}  // namespace vision
