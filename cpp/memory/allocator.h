// Where buffers come from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "memory/buffer.h"

namespace despina {

struct AllocatorStatistics {
  uint64_t bytes_in_use = 0;  // handed out, by the sizes of their classes
  uint64_t bytes_cached = 0;  // kept for the next who asks
  uint64_t bytes_kept = 0;    // of these at most
  uint64_t allocations = 0;   // answered in all
  uint64_t cache_hits = 0;    // of these, from what was kept
  uint64_t refusals = 0;      // refused: over the limit or out of memory
};

// All functions may be called on any thread. Buffers may outlive the allocator's user, not the
// allocator.
class Allocator {
 public:
  virtual ~Allocator() = default;
  // A buffer of `size` bytes, aligned to kDataAlignment, not cleared. RESOURCE_EXHAUSTED when
  // there is no memory.
  virtual Result<Buffer> Allocate(size_t size) = 0;
  virtual AllocatorStatistics statistics() const = 0;
};

// Raw memory beneath a pool: the heap here; page-locked or device memory elsewhere.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  // Aligned to kDataAlignment; null when there is none.
  virtual std::byte* Obtain(size_t size) noexcept = 0;
  virtual void Return(std::byte* memory, size_t size) noexcept = 0;

  static MemorySource& Heap();
};

}  // namespace despina
