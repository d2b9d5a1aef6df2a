// Tensors as C++ sees them: typed views that check their bounds in debug builds, and owners.
// Header only, C++17.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "despina/abi.h"
#include "despina/error.hpp"

constexpr bool operator==(despina_datatype a, despina_datatype b) {
  return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}
constexpr bool operator!=(despina_datatype a, despina_datatype b) { return !(a == b); }

namespace despina {

using Datatype = despina_datatype;

inline constexpr Datatype BOOL{DESPINA_TYPE_BOOL, 8, 1};
inline constexpr Datatype UINT8{DESPINA_TYPE_UINT, 8, 1};
inline constexpr Datatype UINT16{DESPINA_TYPE_UINT, 16, 1};
inline constexpr Datatype UINT32{DESPINA_TYPE_UINT, 32, 1};
inline constexpr Datatype UINT64{DESPINA_TYPE_UINT, 64, 1};
inline constexpr Datatype INT8{DESPINA_TYPE_INT, 8, 1};
inline constexpr Datatype INT16{DESPINA_TYPE_INT, 16, 1};
inline constexpr Datatype INT32{DESPINA_TYPE_INT, 32, 1};
inline constexpr Datatype INT64{DESPINA_TYPE_INT, 64, 1};
inline constexpr Datatype FP16{DESPINA_TYPE_FLOAT, 16, 1};
inline constexpr Datatype FP32{DESPINA_TYPE_FLOAT, 32, 1};
inline constexpr Datatype FP64{DESPINA_TYPE_FLOAT, 64, 1};
inline constexpr Datatype BF16{DESPINA_TYPE_BFLOAT, 16, 1};
inline constexpr Datatype BYTES{DESPINA_TYPE_BYTES, 8 * sizeof(despina_str), 1};

// Bit patterns: C++17 has no type of its own for them.
struct Half {
  uint16_t bits;
};
struct Bfloat16 {
  uint16_t bits;
};

// One element of BYTES, over memory of somebody else's.
class Text {
 public:
  Text() = default;
  Text(std::string_view text) : text_{text.data(), text.size()} {}
  operator std::string_view() const { return {text_.data, text_.size}; }
  const char* data() const { return text_.data; }
  size_t size() const { return text_.size; }

 private:
  despina_str text_{};
};
static_assert(sizeof(Text) == sizeof(despina_str) && std::is_standard_layout<Text>::value, "");

// The datatype of tensors whose elements are of type T.
template <class T>
constexpr Datatype DatatypeOf() {
  using Element = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<Element, bool>)
    return BOOL;
  else if constexpr (std::is_same_v<Element, Half>)
    return FP16;
  else if constexpr (std::is_same_v<Element, Bfloat16>)
    return BF16;
  else if constexpr (std::is_same_v<Element, Text>)
    return BYTES;
  else if constexpr (std::is_floating_point_v<Element>)
    return {DESPINA_TYPE_FLOAT, 8 * sizeof(Element), 1};
  else if constexpr (std::is_integral_v<Element>)
    return {std::is_signed_v<Element> ? DESPINA_TYPE_INT : DESPINA_TYPE_UINT, 8 * sizeof(Element),
            1};
  else
    static_assert(!sizeof(Element), "no tensor has elements of this type");
}

// Bytes of one element, as a backend sees it.
constexpr size_t ElementSize(Datatype datatype) { return datatype.bits / 8U; }

// Elements along each axis.
class Shape {
 public:
  static constexpr size_t kMaxRank = 16;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : Shape(dims.begin(), dims.size()) {}
  Shape(const int64_t* dims, size_t rank) : rank_(rank) {
    if (rank > kMaxRank) throw Error(DESPINA_INVALID_ARGUMENT, "a shape has at most 16 axes");
    for (size_t i = 0; i < rank; ++i) dims_[i] = dims[i];
  }

  size_t rank() const { return rank_; }
  const int64_t* data() const { return dims_.data(); }
  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  int64_t operator[](size_t axis) const { return dims_[axis]; }
  int64_t& operator[](size_t axis) { return dims_[axis]; }
  // Precondition: no axis is open.
  size_t elements() const {
    size_t product = 1;
    for (const int64_t dim : *this) product *= static_cast<size_t>(dim);
    return product;
  }
  friend bool operator==(const Shape& a, const Shape& b) {
    return a.rank_ == b.rank_ && std::equal(a.begin(), a.end(), b.begin());
  }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }

 private:
  std::array<int64_t, kMaxRank> dims_{};
  size_t rank_ = 0;
};

// Elements of type T in row-major order, in memory of somebody else's.
template <class T>
class TensorView {
 public:
  // INVALID_ARGUMENT when the tensor has elements of another type.
  explicit TensorView(const despina_tensor& tensor)
      : data_(static_cast<T*>(tensor.data)),
        size_(static_cast<size_t>(tensor.byte_size) / sizeof(T)),
        shape_(tensor.shape, static_cast<size_t>(tensor.ndim)) {
    if (tensor.datatype != DatatypeOf<T>()) {
      throw Error(DESPINA_INVALID_ARGUMENT, "the tensor has another datatype than asked for");
    }
  }

  const Shape& shape() const { return shape_; }
  // Of all axes together.
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() const { return data_; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }
  // The i-th element of all.
  T& operator[](size_t i) const {
#ifndef NDEBUG
    if (i >= size_)
      throw Error(DESPINA_INTERNAL,
                  "element " + std::to_string(i) + " of " + std::to_string(size_));
#endif
    return data_[i];
  }
  // What lies at one place of the first axis, or of all when there is none.
  T* row(size_t i) const {
    const size_t rows = shape_.rank() > 0 ? static_cast<size_t>(shape_[0]) : 1;
#ifndef NDEBUG
    if (i >= rows)
      throw Error(DESPINA_INTERNAL, "row " + std::to_string(i) + " of " + std::to_string(rows));
#endif
    return data_ + i * (rows > 0 ? size_ / rows : 0);
  }

 private:
  T* data_;
  size_t size_;
  Shape shape_;
};

// A tensor that goes to the server as it is: nothing is copied, except for BYTES. What keeps the
// memory alive is destroyed when nobody reads it any more, on any thread.
class Tensor {
 public:
  // Takes over a vector; `shape` says how its elements lie.
  template <class T>
  Tensor(std::vector<T> values, const Shape& shape)
      : Tensor(Owned(std::make_unique<std::vector<T>>(std::move(values))), DatatypeOf<T>(), shape) {
    if (shape.elements() * sizeof(T) != tensor_.tensor.byte_size) {
      throw Error(DESPINA_INTERNAL, "the shape has another number of elements than the vector");
    }
  }
  // Memory of whatever kind, which `owner` keeps.
  template <class Owner>
  Tensor(std::unique_ptr<Owner> owner, void* data, size_t byte_size, Datatype datatype,
         const Shape& shape)
      : Tensor(Memory{owner.get(), data, byte_size, Destroy<Owner>}, datatype, shape) {
    static_cast<void>(owner.release());
  }
  Tensor(Tensor&& other) noexcept : shape_(other.shape_), tensor_(other.tensor_) {
    tensor_.tensor.shape = shape_.data();
    other.tensor_.release = nullptr;
  }
  Tensor& operator=(Tensor&&) = delete;
  ~Tensor() {
    if (tensor_.release != nullptr) tensor_.release(&tensor_);
  }

  // For a call that takes it over when it succeeds.
  despina_tensor_owned* get() { return &tensor_; }
  void given() { tensor_.release = nullptr; }

 private:
  struct Memory {
    void* owner;
    void* data;
    size_t byte_size;
    void (*release)(despina_tensor_owned*);
  };

  Tensor(const Memory& memory, Datatype datatype, const Shape& shape) : shape_(shape) {
    tensor_.tensor = {memory.data, shape_.data(),           static_cast<int32_t>(shape_.rank()),
                      datatype,    {DESPINA_DEVICE_CPU, 0}, memory.byte_size};
    tensor_.owner = memory.owner;
    tensor_.release = memory.release;
  }
  template <class T>
  static Memory Owned(std::unique_ptr<std::vector<T>> values) {
    static_assert(!std::is_same_v<T, bool>, "std::vector<bool> is packed: use uint8_t and BOOL");
    void* data = values->data();
    const size_t byte_size = values->size() * sizeof(T);
    return {values.release(), data, byte_size, Destroy<std::vector<T>>};
  }
  template <class Owner>
  static void Destroy(despina_tensor_owned* self) {
    std::unique_ptr<Owner>(static_cast<Owner*>(std::exchange(self->owner, nullptr)));
    self->release = nullptr;
  }

  Shape shape_;
  despina_tensor_owned tensor_{};
};

}  // namespace despina
