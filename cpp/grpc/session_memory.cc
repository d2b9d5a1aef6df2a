#include "grpc/session_memory.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace despina::grpc {
namespace {

// Before each block: C does not say how long a block was that it gives back.
struct alignas(std::max_align_t) BlockHead {
  size_t size;
};

BlockHead* HeadOf(void* block) { return static_cast<BlockHead*>(block) - 1; }

}  // namespace

void* SessionMemory::Allocate(size_t size) noexcept {
  if (size > most_ - in_use_ || size > SIZE_MAX - sizeof(BlockHead)) return nullptr;
  void* const bytes = cache_.Allocate(sizeof(BlockHead) + size);
  if (bytes == nullptr) return nullptr;
  in_use_ += size;
  return new (bytes) BlockHead{size} + 1;
}

void* SessionMemory::AllocateZeroed(size_t count, size_t size) noexcept {
  if (size > 0 && count > SIZE_MAX / size) return nullptr;
  void* const block = Allocate(count * size);
  if (block != nullptr) std::memset(block, 0, count * size);
  return block;
}

void SessionMemory::Free(void* block) noexcept {
  if (block == nullptr) return;
  BlockHead* const head = HeadOf(block);
  in_use_ -= head->size;
  if (!cache_.Keep(head, sizeof(BlockHead) + head->size)) std::free(head);
}

void* SessionMemory::Reallocate(void* block, size_t size) noexcept {
  const size_t had = block != nullptr ? HeadOf(block)->size : 0;
  if (block != nullptr && size <= had) return block;
  void* const made = Allocate(size);
  if (made == nullptr) return nullptr;
  if (block != nullptr) std::memcpy(made, block, had);
  Free(block);
  return made;
}

}  // namespace despina::grpc
