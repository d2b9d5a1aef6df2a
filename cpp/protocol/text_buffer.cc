#include "protocol/text_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace despina::protocol {

char* TextBuffer::Room(size_t size) {
  if (!status_.ok()) return nullptr;
  if (buffer_ && size <= buffer_.size() - size_) return data() + size_;
  const size_t capacity = std::max({kFirstCapacity, size_ + size, 2 * buffer_.size()});
  Result<Buffer> larger = allocator_.Allocate(capacity);
  if (!larger.ok()) {
    status_ = larger.status();
    return nullptr;
  }
  if (size_ > 0) std::memcpy(larger->writable().data(), buffer_.data(), size_);
  buffer_ = *std::move(larger);
  return data() + size_;
}

void TextBuffer::AppendText(std::string_view text) {
  char* const out = Room(text.size());
  if (out == nullptr) return;
  std::memcpy(out, text.data(), text.size());
  size_ += text.size();
}

Result<Slice> TextBuffer::Take() {
  if (!status_.ok()) return status_;
  Slice text = Slice(std::move(buffer_)).Part(0, std::exchange(size_, 0));
  buffer_ = {};
  return text;
}

}  // namespace despina::protocol
