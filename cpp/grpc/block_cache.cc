#include "grpc/block_cache.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace despina::grpc {
namespace {

// For a connection that had many streams and has few.
#ifdef DESPINA_SANITIZED
// None: a block that was given back is not to be touched, and the sanitizer sees to it.
constexpr size_t kMostKept = 0;
#else
constexpr size_t kMostKept = size_t{64} << 10;
#endif

}  // namespace

BlockCache::~BlockCache() {
  for (Head* first : first_) {
    while (first != nullptr) {
      Head* const next = first->next;
      std::free(first);
      first = next;
    }
  }
}

void* BlockCache::Allocate(size_t size) {
  if (size > SIZE_MAX / 2) return nullptr;
  size = std::max(kStep, (size + kStep - 1) / kStep * kStep);
  if (size <= kLargest && First(size) != nullptr) {
    Head* const head = First(size);
    First(size) = head->next;
    kept_bytes_ -= size;
    return head + 1;
  }
  void* const bytes = std::malloc(sizeof(Head) + size);
  if (bytes == nullptr) return nullptr;
  return new (bytes) Head{.size = size, .next = nullptr} + 1;
}

void* BlockCache::AllocateZeroed(size_t count, size_t size) {
  if (size > 0 && count > SIZE_MAX / size) return nullptr;
  void* const block = Allocate(count * size);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void BlockCache::Free(void* block) {
  if (block == nullptr) return;
  Head* const head = static_cast<Head*>(block) - 1;
  const size_t size = head->size;
  if (size > kLargest || kept_bytes_ + size > kMostKept) return std::free(head);
  head->next = First(size);
  First(size) = head;
  kept_bytes_ += size;
}

void* BlockCache::Reallocate(void* block, size_t size) {
  const size_t had = block != nullptr ? (static_cast<Head*>(block) - 1)->size : 0;
  if (block != nullptr && size <= had) return block;
  void* const made = Allocate(size);
  if (made == nullptr) return nullptr;
  if (block != nullptr) std::memcpy(made, block, had);
  Free(block);
  return made;
}

}  // namespace despina::grpc
