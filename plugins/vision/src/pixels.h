// A decoded image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace vision {

// Red, green and blue of 8 bits each, row after row without gaps.
class Pixels {
 public:
  static constexpr int kChannels = 3;

  // Black only if `clear`: decoders write all of it otherwise.
  Pixels(int width, int height, bool clear = false)
      : width_(width),
        height_(height),
        data_(clear ? std::make_unique<uint8_t[]>(size())
                    : std::unique_ptr<uint8_t[]>(new uint8_t[size()])) {}

  int width() const { return width_; }
  int height() const { return height_; }
  size_t row_bytes() const { return static_cast<size_t>(width_) * kChannels; }
  size_t size() const { return row_bytes() * static_cast<size_t>(height_); }
  uint8_t* row(int y) { return data_.get() + row_bytes() * static_cast<size_t>(y); }
  const uint8_t* row(int y) const { return data_.get() + row_bytes() * static_cast<size_t>(y); }

 private:
  int width_;
  int height_;
  std::unique_ptr<uint8_t[]> data_;
};

}  // namespace vision
