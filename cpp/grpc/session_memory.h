// Memory for nghttp2, which asks for a few small sizes again and again, up to a bound.
#pragma once

#include <cstddef>

#include "base/block_cache.h"

namespace despina::grpc {

// Of one session, on its thread. As malloc, calloc, free and realloc: null where there is no
// memory, or where the session would have more than it may.
class SessionMemory {
 public:
  // `most`: bytes that are asked for and not given back.
  explicit SessionMemory(size_t most) : most_(most) { cache_.SetMost(kMostKept); }
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;
  // All blocks have been given back.
  ~SessionMemory() { cache_.Close(); }

  void* Allocate(size_t size) noexcept;
  void* AllocateZeroed(size_t count, size_t size) noexcept;
  void Free(void* block) noexcept;
  void* Reallocate(void* block, size_t size) noexcept;
  size_t bytes_in_use() const { return in_use_; }
  // Of blocks that wait to be used again.
  size_t kept_bytes() const { return cache_.bytes(); }

 private:
  // For a connection that had many streams and has few.
  static constexpr size_t kMostKept = kKeepsBlocks ? size_t{64} << 10 : 0;

  const size_t most_;
  size_t in_use_ = 0;
  BlockCache cache_;
};

}  // namespace despina::grpc
