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
  struct SizeClass {
    BriefMutex mutex;
    PoolBlock* kept =
        nullptr;  // the last one given back, linked to the one before; guarded by mutex
  };

  static size_t ClassOf(size_t size);
  static size_t ClassSize(size_t index);

  Status Refused(size_t size, const char* why);
  PoolBlock* TakeKept(size_t index);
  void GiveBack(PoolBlock* block) noexcept;

  const PoolLimits limits_;
  MemorySource& source_;
  std::array<SizeClass, kClasses> classes_;
  Budget in_use_;
  Budget cached_;
  std::atomic<uint64_t> allocations_{0};
  std::atomic<uint64_t> cache_hits_{0};
  std::atomic<uint64_t> refusals_{0};
};

}  // namespace despina
