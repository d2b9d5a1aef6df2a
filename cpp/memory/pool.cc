#include "memory/pool.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

#include "base/text.h"

namespace despina {
namespace {

constexpr size_t kSmallestClass = 256;
constexpr size_t kStepsPerDoubling = 4;
// Far beyond what a machine has; keeps the arithmetic of the classes from overflowing.
constexpr size_t kLargestRequest = size_t{1} << 38;

class HeapSource final : public MemorySource {
 public:
  std::byte* Obtain(size_t size) noexcept override {
    return static_cast<std::byte*>(std::aligned_alloc(kDataAlignment, size));
  }
  void Return(std::byte* memory, size_t) noexcept override { std::free(memory); }
};

}  // namespace

MemorySource& MemorySource::Heap() {
  static HeapSource source;
  return source;
}

class BufferPool::PoolBlock final : public Block {
 public:
  PoolBlock(BufferPool& pool, std::byte* memory, size_t size, size_t index)
      : Block(memory, size), pool_(pool), index_(index) {
    pool_.obtained_.fetch_add(ClassSize(index_), std::memory_order_relaxed);
  }
  ~PoolBlock() override {
    pool_.source_.Return(data(), ClassSize(index_));
    pool_.obtained_.fetch_sub(ClassSize(index_), std::memory_order_relaxed);
  }

  size_t index() const { return index_; }
  void HandOut(size_t size) { Renew(size); }

  PoolBlock* next = nullptr;  // while it is kept

 private:
  void Release() noexcept override { pool_.GiveBack(this); }

  BufferPool& pool_;
  const size_t index_;
};

BufferPool::BufferPool(PoolLimits limits, MemorySource& source)
    : limits_(limits),
      source_(source),
      in_use_(limits.max_bytes_in_use == 0 ? UINT64_MAX : limits.max_bytes_in_use) {}

BufferPool::~BufferPool() { Trim(); }

size_t BufferPool::ClassOf(size_t size) {
  if (size <= kSmallestClass) return 0;
  // 256 < size: `doublings` full powers above the smallest class, then quarters of the next.
  const size_t doublings = std::bit_width(size - 1) - std::bit_width(kSmallestClass);
  const size_t base = kSmallestClass << doublings;
  const size_t step = base / kStepsPerDoubling;
  return doublings * kStepsPerDoubling + (size - base + step - 1) / step;
}

size_t BufferPool::ClassSize(size_t index) {
  const size_t base = kSmallestClass << (index / kStepsPerDoubling);
  return base + (index % kStepsPerDoubling) * (base / kStepsPerDoubling);
}

Status BufferPool::Refused(size_t size, const char* why) {
  refusals_.fetch_add(1, std::memory_order_relaxed);
  return {Code::kResourceExhausted, Concat("no memory for a buffer of ", size, " bytes: ", why)};
}

BufferPool::PoolBlock* BufferPool::TakeKept(SizeClass& size_class) {
  PoolBlock* block = size_class.kept;
  if (block != nullptr) size_class.kept = block->next;
  return block;
}

uint64_t BufferPool::Cached() const {
  const uint64_t obtained = obtained_.load(std::memory_order_relaxed);
  // What was just taken may not have been obtained yet.
  return obtained - std::min(obtained, in_use_.used());
}

Result<Buffer> BufferPool::Allocate(size_t size) {
  if (size > kLargestRequest) return Refused(size, "over the pool's limit");
  const size_t index = ClassOf(size);
  const size_t bytes = ClassSize(index);
  if (!in_use_.TryTake(bytes)) return Refused(size, "over the pool's limit");
  {
    SizeClass& size_class = classes_[index];
    const std::lock_guard lock(size_class.mutex);
    if (PoolBlock* block = TakeKept(size_class)) {
      ++size_class.cache_hits;
      block->HandOut(size);
      return Buffer(block);
    }
  }
  std::byte* memory = source_.Obtain(bytes);
  std::unique_ptr<PoolBlock> block;
  if (memory != nullptr) block.reset(new (std::nothrow) PoolBlock(*this, memory, size, index));
  if (!block) {
    if (memory != nullptr) source_.Return(memory, bytes);
    in_use_.Give(bytes);
    return Refused(size, "the system has none");
  }
  cache_misses_.fetch_add(1, std::memory_order_relaxed);
  return Buffer(block.release());
}

void BufferPool::GiveBack(PoolBlock* block) noexcept {
  std::unique_ptr<PoolBlock> owned(block);
  const size_t bytes = ClassSize(block->index());
  // First: it would look as if it were kept.
  if (bytes > limits_.max_cached_buffer) owned.reset();
  in_use_.Give(bytes);
  // Whoever gives back last sees what all others have given back.
  if (!owned || Cached() > limits_.max_cached_bytes) return;
  SizeClass& size_class = classes_[block->index()];
  const std::lock_guard lock(size_class.mutex);
  block->next = size_class.kept;
  size_class.kept = owned.release();
}

void BufferPool::Trim() {
  for (SizeClass& size_class : classes_) {
    const std::lock_guard lock(size_class.mutex);
    while (PoolBlock* block = TakeKept(size_class)) {
      const std::unique_ptr<PoolBlock> owned(block);
    }
  }
}

AllocatorStatistics BufferPool::statistics() const {
  uint64_t hits = 0;
  for (SizeClass& size_class : classes_) {
    const std::lock_guard lock(size_class.mutex);
    hits += size_class.cache_hits;
  }
  return {.bytes_in_use = in_use_.used(),
          .bytes_cached = Cached(),
          .bytes_kept = limits_.max_cached_bytes,
          .allocations = hits + cache_misses_.load(std::memory_order_relaxed),
          .cache_hits = hits,
          .refusals = refusals_.load(std::memory_order_relaxed)};
}

}  // namespace despina
