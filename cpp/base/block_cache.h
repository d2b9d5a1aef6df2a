// Blocks of memory that were given back, for whoever asks for as many bytes next.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace despina {

// Small blocks, up to a number of bytes in all and a quarter of that of one size, so that those
// that nobody asks for here are not in the way of others. malloc keeps seven of a size for a
// thread; beyond that it takes several times as long, and a server has more requests under way. One
// thread at a time. Zeroed memory is a cache that keeps nothing, and it has no destructor: its
// owner closes it.
class BlockCache {
 public:
  static constexpr size_t kStep = 64;
  // A block of more bytes is not kept.
  static constexpr size_t kLargest = 1023;

  // Aligned for any standard type; null where there is no memory.
  void* Allocate(size_t size) noexcept {
    // A sanitizer's malloc ends the process when it is asked for more than there can be.
    if (size > kLargest) return size <= SIZE_MAX / 2 ? std::malloc(size) : nullptr;
    Size& kept = sizes_[size / kStep];
    if (kept.first == nullptr) return std::malloc(BlockSize(size));
    Kept* const block = kept.first;
    kept.first = block->next;
    kept.bytes -= BlockSize(size);
    bytes_ -= BlockSize(size);
    return block;
  }

  // False when it does not keep the block. `size`: as it was asked for.
  bool Keep(void* block, size_t size) noexcept {
    if (size > kLargest) return false;
    const size_t added = BlockSize(size);
    Size& kept = sizes_[size / kStep];
    if (bytes_ + added > most_ || kept.bytes + added > most_ / 4) return false;
    kept.first = new (block) Kept{kept.first};
    kept.bytes += added;
    bytes_ += added;
    return true;
  }

  // How many bytes it may keep.
  void SetMost(size_t most) { most_ = most; }
  size_t bytes() const { return bytes_; }
  // Frees what is kept, and keeps nothing from now on.
  void Close() noexcept {
    most_ = bytes_ = 0;
    for (Size& size : sizes_) {
      while (size.first != nullptr) {
        Kept* const block = size.first;
        size.first = block->next;
        std::free(block);
      }
      size.bytes = 0;
    }
  }

 private:
  // Lies in a block that is kept.
  struct Kept {
    Kept* next;
  };
  struct Size {
    Kept* first;
    size_t bytes;
  };

  // Blocks of one size are as long as the longest that is asked for.
  static size_t BlockSize(size_t size) { return (size / kStep + 1) * kStep; }

  std::array<Size, kLargest / kStep + 1> sizes_{};
  size_t bytes_ = 0;
  size_t most_ = 0;
};

// From the sanitizer nothing is kept: a block that was given back is not to be touched.
#ifdef DESPINA_SANITIZED
inline constexpr bool kKeepsBlocks = false;
#else
inline constexpr bool kKeepsBlocks = true;
#endif

}  // namespace despina
