// A file's bytes in memory, read with bounds that are always checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

namespace vision {

// Something was to be read beyond the end.
class OutOfBounds : public std::exception {
 public:
  const char* what() const noexcept override { return "it ends too early"; }
};

enum class ByteOrder { kLittle, kBig };

// A view: the memory is the caller's.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  explicit Bytes(std::string_view text)
      : data_(reinterpret_cast<const uint8_t*>(text.data())), size_(text.size()) {}

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // All of what follows throw OutOfBounds. `at` may be any number.
  uint8_t operator[](size_t at) const { return data_[Checked(at, 1)]; }
  uint16_t U16(size_t at, ByteOrder order) const {
    return static_cast<uint16_t>(Integer(at, 2, order));
  }
  uint32_t U32(size_t at, ByteOrder order) const { return Integer(at, 4, order); }
  uint32_t U24(size_t at, ByteOrder order) const { return Integer(at, 3, order); }
  Bytes Part(size_t at, size_t size) const { return {data_ + Checked(at, size), size}; }

  bool StartsWith(std::string_view text, size_t at = 0) const {
    return at <= size_ && Text(at).substr(0, text.size()) == text;
  }

 private:
  std::string_view Text(size_t at) const {
    return {reinterpret_cast<const char*>(data_) + at, size_ - at};
  }
  size_t Checked(size_t at, size_t size) const {
    if (at > size_ || size > size_ - at) throw OutOfBounds();
    return at;
  }
  uint32_t Integer(size_t at, size_t size, ByteOrder order) const {
    const uint8_t* bytes = data_ + Checked(at, size);
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes[order == ByteOrder::kBig ? i : size - 1 - i];
    }
    return value;
  }

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vision
