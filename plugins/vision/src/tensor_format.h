// How the elements of a network's input are made of colours, and where they lie.
#pragma once

#include <array>
#include <cstddef>

#include "geometry.h"

namespace vision {

enum class Color { kRgb, kBgr, kGray };
enum class Layout { kChannelsFirst, kChannelsLast };

struct TensorFormat {
  Size size;
  Color color = Color::kRgb;
  Layout layout = Layout::kChannelsFirst;
  // For each channel, in the order of `color`: an element is pixel * gain + offset, the pixel from
  // 0 to 255.
  std::array<float, 3> gain{};
  std::array<float, 3> offset{};

  size_t channels() const { return color == Color::kGray ? 1 : 3; }
  size_t plane() const {
    return static_cast<size_t>(size.width) * static_cast<size_t>(size.height);
  }
  size_t elements() const { return channels() * plane(); }
  // From an element to the next of its channel, row or column.
  ptrdiff_t channel_stride() const {
    return layout == Layout::kChannelsFirst ? static_cast<ptrdiff_t>(plane()) : 1;
  }
  ptrdiff_t column_stride() const {
    return layout == Layout::kChannelsFirst ? 1 : static_cast<ptrdiff_t>(channels());
  }
  ptrdiff_t row_stride() const { return column_stride() * size.width; }
};

}  // namespace vision
