// Bytes on their way to a socket, in order.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "memory/allocator.h"
#include "memory/buffer.h"

namespace despina::grpc {

// What is small is copied into buffers of the outbox, so that one system call sends many frames;
// what is large is kept where it lies.
class Outbox {
 public:
  explicit Outbox(Allocator& allocator) : allocator_(allocator) {}

  // Copies the bytes. False when there is no memory; then some of them may have been added.
  bool Copy(std::span<const std::byte> bytes);
  // Adds them as they are, unless they are few: those are copied.
  bool Add(const Slice& bytes);

  // Bytes that are to be sent.
  size_t size() const { return size_; }
  // Good until anything is added or dropped.
  std::span<const std::span<const std::byte>> pieces() const {
    return std::span(pieces_).subspan(first_);
  }
  // The first `size` bytes have been sent.
  void Drop(size_t size);

 private:
  void Append(Slice bytes);

  Allocator& allocator_;
  // What the copies are in: the last buffer, and how much of it is used.
  Slice buffer_;
  std::byte* writable_ = nullptr;
  size_t used_ = 0;
  // The last piece is of that buffer, and grows with what is copied.
  bool growing_ = false;
  // In step; those before `first_` have been sent.
  std::vector<Slice> slices_;
  std::vector<std::span<const std::byte>> pieces_;
  size_t first_ = 0;
  size_t size_ = 0;
};

}  // namespace despina::grpc
