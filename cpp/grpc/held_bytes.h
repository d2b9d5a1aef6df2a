// What clients send before it is wanted.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "memory/budget.h"

namespace despina::grpc {

// Bytes in order, charged while they are here.
class HeldBytes {
 public:
  explicit HeldBytes(Budget& budget) : charge_(budget) {}

  bool empty() const { return bytes_.empty(); }
  // Good until anything is added or dropped.
  std::span<const std::byte> bytes() const { return std::span(bytes_).subspan(dropped_); }
  // False, and nothing added, when the budget is spent.
  bool Add(std::span<const std::byte> bytes);
  // The first `size` bytes are used. Precondition: there are as many.
  void Drop(size_t size);
  void Clear();

 private:
  Charge charge_;
  std::vector<std::byte> bytes_;
  // Used, and still in front of the others.
  size_t dropped_ = 0;
};

}  // namespace despina::grpc
