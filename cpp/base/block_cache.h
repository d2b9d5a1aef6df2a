// Blocks of memory that were given back, for whoever asks for as many bytes next.
#pragma once

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace despina {

// Small blocks, up to a number of bytes in all. malloc keeps seven of a size for a thread; beyond
// that it takes several times as long, and a server has more requests under way. One thread at a
// time. Zeroed memory is a cache that keeps nothing, and it has no destructor: its owner empties
// it.
class BlockCache {
 public:
  static constexpr size_t kStep = 64;
  // A block of more bytes is not kept.
  static constexpr size_t kLargest = 1023;

  // Aligned for any standard type; null where there is no memory.
  void* Allocate(size_t size) noexcept {
    if (size > kLargest) return std::malloc(size);
    Kept*& first = first_[size / kStep];
    if (first == nullptr) return std::malloc(BlockSize(size));
    Kept* const block = first;
    first = block->next;
    bytes_ -= BlockSize(size);
    return block;
  }

  // False when it does not keep the block. `size`: as it was asked for.
  bool Keep(void* block, size_t size) noexcept {
    if (size > kLargest || bytes_ + BlockSize(size) > most_) return false;
    Kept*& first = first_[size / kStep];
    first = new (block) Kept{first};
    bytes_ += BlockSize(size);
    return true;
  }

  // How many bytes it may keep.
  void SetMost(size_t most) { most_ = most; }
  size_t bytes() const { return bytes_; }
  // Frees what is kept, and keeps nothing from now on.
  void Close() noexcept {
    most_ = bytes_ = 0;
    for (Kept*& first : first_) {
      while (first != nullptr) {
        Kept* const block = first;
        first = block->next;
        std::free(block);
      }
    }
  }

 private:
  // Lies in a block that is kept.
  struct Kept {
    Kept* next;
  };

  // Blocks of one class are as long as its longest.
  static size_t BlockSize(size_t size) { return (size / kStep + 1) * kStep; }

  std::array<Kept*, kLargest / kStep + 1> first_{};
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
