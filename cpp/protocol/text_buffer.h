// A text that grows in buffers of an allocator.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/status.h"
#include "base/text.h"
#include "memory/allocator.h"
#include "memory/buffer.h"

namespace despina::protocol {

// Appending to a text for which there was no memory does nothing, so that only Take() has to be
// checked.
class TextBuffer {
 public:
  explicit TextBuffer(Allocator& allocator) : allocator_(allocator) {}

  // Texts, characters, integers, and whatever else is a piece for Concat().
  template <class... Pieces>
  void Append(const Pieces&... pieces) {
    AppendText(Concat(pieces...));
  }

  // Room for that many characters at the end of the text; null when there is no memory.
  char* Room(size_t size);
  // The text ends here: a place within the room last given.
  void EndAt(const char* end) { size_ = static_cast<size_t>(end - data()); }

  // RESOURCE_EXHAUSTED when there was no memory. Leaves nothing.
  Result<Slice> Take();

 private:
  static constexpr size_t kFirstCapacity = 1024;

  void AppendText(std::string_view text);
  char* data() { return reinterpret_cast<char*>(buffer_.writable().data()); }

  Allocator& allocator_;
  Buffer buffer_;
  size_t size_ = 0;
  Status status_;
};

}  // namespace despina::protocol
