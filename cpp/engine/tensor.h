// Tensors: datatype, shape, and the bytes that carry them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "memory/buffer.h"

namespace despina {

enum class DataType : uint8_t {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kFp32,
  kFp64,
  kBytes,
  kBf16,
};
inline constexpr size_t kDataTypes = 14;

// As on the wire: FP32, BYTES, ...
std::string_view DataTypeName(DataType datatype);
std::optional<DataType> ParseDataType(std::string_view name);
// Bytes of one element; 0 for BYTES, whose elements differ.
size_t ElementSize(DataType datatype);

// Elements along each axis; -1 where a definition leaves it open.
class Shape {
 public:
  static constexpr size_t kMaxRank = 16;

  Shape() {}
  // Copies are frequent, and most shapes have few axes.
  Shape(const Shape& other) : Shape(other.dims()) {}
  Shape& operator=(const Shape& other) {
    rank_ = other.rank_;
    std::copy_n(other.dims_.data(), rank_, dims_.data());
    return *this;
  }
  ~Shape() = default;
  // Precondition: at most kMaxRank axes.
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims) : rank_(dims.size()) {
    std::copy_n(dims.data(), rank_, dims_.data());
  }

  size_t rank() const { return rank_; }
  std::span<const int64_t> dims() const { return {dims_.data(), rank_}; }
  int64_t operator[](size_t axis) const { return dims_[axis]; }
  int64_t& operator[](size_t axis) { return dims_[axis]; }
  // False when there is no room for another axis.
  bool Append(int64_t dim);

  Shape WithoutFirst() const { return Shape(dims().subspan(1)); }
  // Precondition: rank() < kMaxRank.
  Shape WithFirst(int64_t dim) const;

  bool operator==(const Shape& other) const;

 private:
  // What is behind the rank is not set.
  std::array<int64_t, kMaxRank> dims_;
  size_t rank_ = 0;
};

// "[2,-1,3]"
std::string ToText(const Shape& shape);
// The product of the axes; nothing when it does not fit or an axis is negative.
std::optional<uint64_t> ElementCount(const Shape& shape);
// The bytes that this many elements take; nothing for BYTES or when it does not fit.
std::optional<uint64_t> ByteSize(DataType datatype, const Shape& shape);

// Whether `shape` is one of those that `dims` describes.
bool Fits(const Shape& shape, const Shape& dims);
// What becomes of a shape that fits `from` when it is reshaped to `to`: the open axes of `to` are
// filled in order from those of `from`. `batched`: the first axis of `shape` stays as it is.
Shape Reshaped(const Shape& shape, const Shape& from, const Shape& to, bool batched);

// A tensor as requests and responses carry it: row-major, little-endian. An element of BYTES is
// its length in four bytes and then itself, as on the wire.
struct Tensor {
  DataType datatype = DataType::kFp32;
  Shape shape;
  Slice data;
};

// Reads the elements of a BYTES tensor one after the other.
class BytesReader {
 public:
  explicit BytesReader(std::span<const std::byte> data) : rest_(data) {}
  // Nothing at the end, and where what is left cannot be an element: then ok() is false.
  std::optional<std::span<const std::byte>> Next();
  bool ok() const { return ok_; }
  size_t remaining() const { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

// The elements of a BYTES tensor; nothing when the data is cut off within one.
std::optional<uint64_t> CountElements(std::span<const std::byte> data);

}  // namespace despina
