// A decoded image.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace vision {

// Red, green and blue of 8 bits each, row after row without gaps. Its memory is kept from one image
// to the next: what the system gives anew it clears first, page by page, which takes as long as
// decoding.
class Pixels {
 public:
  static constexpr int kChannels = 3;

  // What the pixels are after it is not said: decoders write all of them.
  void Resize(int width, int height) {
    width_ = width;
    height_ = height;
    if (size() <= capacity_) return;
    capacity_ = 0;
    data_.reset();
    data_.reset(new uint8_t[size()]);  // not make_unique, which clears
    capacity_ = size();
  }
  void Clear() { std::fill_n(data_.get(), size(), uint8_t{0}); }
  // Gives the memory back if it is more than that. There is no image then.
  void KeepAtMost(size_t bytes) {
    if (capacity_ <= bytes) return;
    *this = Pixels();
  }

  int width() const { return width_; }
  int height() const { return height_; }
  size_t row_bytes() const { return static_cast<size_t>(width_) * kChannels; }
  size_t size() const { return row_bytes() * static_cast<size_t>(height_); }
  uint8_t* row(int y) { return data_.get() + row_bytes() * static_cast<size_t>(y); }
  const uint8_t* row(int y) const { return data_.get() + row_bytes() * static_cast<size_t>(y); }

 private:
  int width_ = 0;
  int height_ = 0;
  size_t capacity_ = 0;
  std::unique_ptr<uint8_t[]> data_;
};

}  // namespace vision
