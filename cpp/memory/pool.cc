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
    : limits_(limits), source_(source), in_use_(limits.max_bytes_in_use) {}

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

void BufferPool::CountKept(size_t index, int32_t more) {
  std::atomic<uint32_t>& count = kept_counts_[index];
  count.store(count.load(std::memory_order_relaxed) + static_cast<uint32_t>(more),
              std::memory_order_relaxed);
}

void BufferPool::Keep(PoolBlock* block) {
  SizeClass& size_class = classes_[block->index()];
  block->next = size_class.kept;
  size_class.kept = block;
  CountKept(block->index(), 1);
}

BufferPool::PoolBlock* BufferPool::TakeKept(size_t index) {
  PoolBlock* const block = classes_[index].kept;
  if (block == nullptr) return nullptr;
  classes_[index].kept = block->next;
  CountKept(index, -1);
  return block;
}

uint64_t BufferPool::Cached() const {
  uint64_t bytes = 0;
  for (size_t i = 0; i < kClasses; ++i) {
    if (const uint32_t count = kept_counts_[i].load(std::memory_order_relaxed); count > 0) {
      bytes += count * ClassSize(i);
    }
  }
  return bytes;
}

Result<Buffer> BufferPool::Allocate(size_t size) {
  if (size > kLargestRequest) return Refused(size, "over the pool's limit");
  const size_t index = ClassOf(size);
  const size_t bytes = ClassSize(index);
  if (limited() && !in_use_.TryTake(bytes)) return Refused(size, "over the pool's limit");
  {
    SizeClass& size_class = classes_[index];
    const std::lock_guard lock(size_class.mutex);
    if (PoolBlock* block = TakeKept(index)) {
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
    if (limited()) in_use_.Give(bytes);
    return Refused(size, "the system has none");
  }
  cache_misses_.fetch_add(1, std::memory_order_relaxed);
  return Buffer(block.release());
}

void BufferPool::GiveBack(PoolBlock* block) noexcept {
  std::unique_ptr<PoolBlock> owned(block);
  const size_t index = block->index();
  const size_t bytes = ClassSize(index);
  if (limited()) in_use_.Give(bytes);
  if (bytes > limits_.max_cached_buffer) return;
  {
    const std::lock_guard lock(classes_[index].mutex);
    Keep(owned.release());
  }
  // Most pools do not hold as much as they may keep.
  if (obtained_.load(std::memory_order_relaxed) <= limits_.max_cached_bytes) return;
  // Whoever gives back last sees what all others have given back.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (Cached() <= limits_.max_cached_bytes) return;
  const std::lock_guard lock(classes_[index].mutex);
  owned.reset(TakeKept(index));
}

void BufferPool::Trim() {
  for (size_t index = 0; index < kClasses; ++index) {
    const std::lock_guard lock(classes_[index].mutex);
    while (PoolBlock* block = TakeKept(index)) {
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
  // First: what is obtained and kept meanwhile looks as if it were in use, not the other way round.
  const uint64_t cached = Cached();
  const uint64_t obtained = obtained_.load(std::memory_order_relaxed);
  return {.bytes_in_use = obtained - std::min(obtained, cached),
          .bytes_cached = cached,
          .bytes_kept = limits_.max_cached_bytes,
          .allocations = hits + cache_misses_.load(std::memory_order_relaxed),
          .cache_hits = hits,
          .refusals = refusals_.load(std::memory_order_relaxed)};
}

}  // namespace despina
