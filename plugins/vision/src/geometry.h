// Where the pixels of a network input come from.
//
// Two ways to count along an axis of an image are in use, and what follows names which it means:
//
// * edges: 0 is the left edge of the first pixel and `width` the right edge of the last one, so
// that
//   pixel i covers i to i + 1. Boxes are given so.
// * centres: the centre of the first pixel is 0 and that of the last one `width - 1`. Points are
//   given so, keypoints among them.
#pragma once

#include <utility>

namespace vision {

// Width and height in pixels.
struct Size {
  int width = 0;
  int height = 0;
};

enum class Fit { kAffine, kLetterbox, kStretch };
enum class Align { kCenter, kTopLeft };

// A rectangle, in edges.
struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

// x = m[0][0] x' + m[0][1] y' + m[0][2], and y likewise.
struct Transform {
  double m[2][3];
};

// Applies `inner` first and `outer` to its result.
Transform Compose(const Transform& outer, const Transform& inner);

// The transform between points in centres that equals one between points in edges.
Transform BetweenCentres(const Transform& between_edges);

// What lies in both; without area where they do not meet.
Box Intersection(const Box& a, const Box& b);

// How the region of an image that fills a network input follows from the box that is wanted.
struct Framing {
  Fit fit = Fit::kAffine;
  Align align = Align::kCenter;
  double padding = 1.25;
};

// The region of the image that fills the whole network input.
Box RegionToInput(const Box& box, const Framing& framing, Size input);

// Maps points of the network input to points of the image, both in centres.
Transform InverseTransform(const Box& region, Size input);

// Maps points of the upright image to points of the decoded pixels, both in centres. `stored` is
// the size of the image as it lies in the file; the decoder made one of `reduction` pixels along
// each axis, counted from the first stored pixel.
Transform UprightToStored(int orientation, Size stored, int reduction);

// A half-open range of rows or columns.
struct Range {
  int begin = 0;
  int end = 0;
  int size() const { return end - begin; }
};

// Of the network input: the rows and columns whose centres see the visible part of the image.
struct Window {
  Range rows;
  Range columns;
};
Window PixelsInside(const Box& visible, const Box& region, Size input);

}  // namespace vision
