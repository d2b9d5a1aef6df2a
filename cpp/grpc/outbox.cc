#include "grpc/outbox.h"

#include <cstring>
#include <utility>

namespace despina::grpc {
namespace {

constexpr size_t kBuffer = size_t{16} << 10;
// Copying fewer bytes costs less than another piece of a system call.
constexpr size_t kFew = 2048;
// Pieces that were sent before their places are used again.
constexpr size_t kMostSent = 256;

}  // namespace

bool Outbox::Copy(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (used_ == buffer_.size()) {
      Result<Buffer> made = allocator_.Allocate(kBuffer);
      if (!made.ok()) return false;
      writable_ = made->writable().data();
      buffer_ = Slice(*std::move(made));
      used_ = 0;
      growing_ = false;
    }
    const size_t part = std::min(bytes.size(), buffer_.size() - used_);
    std::memcpy(writable_ + used_, bytes.data(), part);
    if (growing_) {
      std::span<const std::byte>& last = pieces_.back();
      last = {last.data(), last.size() + part};
      size_ += part;
    } else {
      Append(buffer_.Part(used_, part));
      growing_ = true;
    }
    used_ += part;
    bytes = bytes.subspan(part);
  }
  return true;
}

bool Outbox::Add(const Slice& bytes) {
  if (bytes.size() < kFew) return Copy(bytes.bytes());
  Append(bytes);
  growing_ = false;
  return true;
}

void Outbox::Append(Slice bytes) {
  size_ += bytes.size();
  pieces_.push_back(bytes.bytes());
  slices_.push_back(std::move(bytes));
}

void Outbox::Drop(size_t size) {
  size_ -= size;
  while (size > 0) {
    std::span<const std::byte>& piece = pieces_[first_];
    if (size < piece.size()) {
      piece = piece.subspan(size);
      break;
    }
    size -= piece.size();
    slices_[first_++] = {};
  }
  if (size_ == 0) {
    pieces_.clear();
    slices_.clear();
    first_ = 0;
    // An idle connection holds no buffer.
    buffer_ = {};
    used_ = 0;
    growing_ = false;
  } else if (first_ >= kMostSent) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace despina::grpc
