#include "base/recycled_memory.h"

#include "base/block_cache.h"

namespace despina {
namespace {

// 64 of the largest, and as much of three other sizes.
constexpr size_t kMostKept = kKeepsBlocks ? size_t{256} << 10 : 0;

// Without a destructor: what runs at the thread's end may still give blocks back.
constinit thread_local BlockCache thread_blocks{};

// For as long as a function needs it: it is a call to find out where it is, and compilers would
// rather make it twice than remember.
BlockCache& OfThisThread() {
  BlockCache* here = &thread_blocks;
  asm("" : "+r"(here));
  return *here;
}

// Opens the cache of its thread, and closes it at the thread's end.
class Opened {
 public:
  Opened() { thread_blocks.SetMost(kMostKept); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() { thread_blocks.Close(); }
};

// Where a block was not kept: there are enough, it is too large, or the thread's first.
[[gnu::noinline]] void KeepOrFree(BlockCache& blocks, void* block, size_t size) noexcept {
  static thread_local const Opened opened;
  if (!blocks.Keep(block, size)) std::free(block);
}

}  // namespace

void* RecycledMemory::Allocate(size_t size) {
  void* const block = OfThisThread().Allocate(size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void RecycledMemory::Free(void* block, size_t size) noexcept {
  if (block == nullptr) return;
  BlockCache& blocks = OfThisThread();
  if (!blocks.Keep(block, size)) KeepOrFree(blocks, block, size);
}

size_t RecycledMemory::kept_bytes() { return thread_blocks.bytes(); }

}  // namespace despina
