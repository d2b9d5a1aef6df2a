// Buffers in size classes, kept for reuse.
#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "base/brief_mutex.h"
#include "memory/allocator.h"
#include "memory/budget.h"

namespace despina {

struct PoolLimits {
  // Kept for reuse in all; beyond it memory goes back to its source.
  size_t max_cached_bytes = size_t{256} << 20;
  // Larger buffers are never kept.
  size_t max_cached_buffer = size_t{64} << 20;
  // Handed out at one time; 0: no limit.
  size_t max_bytes_in_use = 0;
};

// Classes are a quarter of a power of two apart, so that at most a fifth of a buffer is unused
// above the smallest class. The last one given back is the first one handed out: it is the one
// that the caches still hold, and a fresh page costs more than the copy into it.
class BufferPool final : public Allocator {
 public:
  explicit BufferPool(PoolLimits limits = {}, MemorySource& source = MemorySource::Heap());
  // No buffer may be in use any more.
  ~BufferPool() override;

  Result<Buffer> Allocate(size_t size) override;
  AllocatorStatistics statistics() const override;

  // Gives everything that is kept back to its source.
  void Trim();

 private:
  class PoolBlock;
  static constexpr size_t kClasses = 128;
  // On a cache line of its own: what other threads do with other sizes is not in the way.
  struct alignas(64) SizeClass {
    BriefMutex mutex;
    // Guarded by mutex. The last one given back, linked to the one before.
    PoolBlock* kept = nullptr;
    // Handed out again.
    uint64_t cache_hits = 0;
  };

  static size_t ClassOf(size_t size);
  static size_t ClassSize(size_t index);

  Status Refused(size_t size, const char* why);
  // With the mutex of the class held, these three. TakeKept() gives null when it keeps none.
  PoolBlock* TakeKept(size_t index);
  void Keep(PoolBlock* block);
  void CountKept(size_t index, int32_t more);
  void GiveBack(PoolBlock* block) noexcept;
  bool limited() const { return limits_.max_bytes_in_use > 0; }
  uint64_t Cached() const;

  const PoolLimits limits_;
  MemorySource& source_;
  mutable std::array<SizeClass, kClasses> classes_;
  // How many buffers a class keeps; changed under its mutex. Side by side, since they are added up.
  std::array<std::atomic<uint32_t>, kClasses> kept_counts_{};
  // Unless they are limited, nobody counts the bytes in use with each buffer.
  Budget in_use_;
  // Obtained from the source and not returned: in use, or kept.
  std::atomic<uint64_t> obtained_{0};
  std::atomic<uint64_t> cache_misses_{0};
  std::atomic<uint64_t> refusals_{0};
};

}  // namespace despina
