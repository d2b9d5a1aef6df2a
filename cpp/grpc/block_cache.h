// Memory for nghttp2, which asks for a few small sizes again and again.
#pragma once

#include <array>
#include <cstddef>

namespace despina::grpc {

// Of one session, on its thread. Small blocks that are given back are kept for the next of their
// size: with 64 streams on a connection, more are on their way than malloc keeps for a thread.
class BlockCache {
 public:
  BlockCache() = default;
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  // All blocks have been given back.
  ~BlockCache();

  // As malloc, calloc, free and realloc: null where there is no memory.
  void* Allocate(size_t size);
  void* AllocateZeroed(size_t count, size_t size);
  void Free(void* block);
  void* Reallocate(void* block, size_t size);
  // Of blocks that wait to be used again.
  size_t kept_bytes() const { return kept_bytes_; }

 private:
  // Before each block.
  struct alignas(std::max_align_t) Head {
    size_t size;
    // Of a block that is kept.
    Head* next;
  };

  static constexpr size_t kStep = 32;
  static constexpr size_t kLargest = 512;

  // Of blocks of the size, which is a multiple of kStep.
  Head*& First(size_t size) { return first_[size / kStep - 1]; }

  std::array<Head*, kLargest / kStep> first_{};
  size_t kept_bytes_ = 0;
};

}  // namespace despina::grpc
