// Bytes that have been received and not been used.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace despina::http {

class Input {
 public:
  // Enough for the head of nearly every request, and for small requests as a whole.
  static constexpr size_t kSmallest = 4096;

  Input() : storage_(kSmallest) {}

  std::span<const std::byte> bytes() const { return {storage_.data() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  void Consume(size_t size) {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  // Room behind the bytes; empty when they take all of it.
  std::span<std::byte> space() {
    if (end_ == storage_.size() && begin_ > 0) {
      std::memmove(storage_.data(), storage_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    return std::span(storage_).subspan(end_);
  }
  void Commit(size_t size) { end_ += size; }

  void Reserve(size_t size) { storage_.resize(std::max(storage_.size(), size)); }
  // Makes room when there is none, up to `limit` bytes in all.
  void Grow(size_t limit) {
    if (!space().empty() || storage_.size() >= limit) return;
    storage_.resize(std::min(2 * storage_.size(), limit));
  }
  // Gives back what a large request needed. Precondition: empty().
  void Shrink() {
    if (storage_.size() > kSmallest) storage_ = std::vector<std::byte>(kSmallest);
  }

 private:
  std::vector<std::byte> storage_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace despina::http
