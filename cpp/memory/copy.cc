#include "memory/copy.h"

#include <atomic>
#include <cstring>

namespace despina {
namespace {

std::atomic<uint64_t> copies{0};
std::atomic<uint64_t> bytes{0};

}  // namespace

void CopyTensorData(std::byte* to, const void* from, size_t size) {
  CountTensorCopy(size);
  if (size > 0) std::memcpy(to, from, size);
}

void CountTensorCopy(size_t size) {
  copies.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(size, std::memory_order_relaxed);
}

CopyStatistics TensorCopies() {
  return {.copies = copies.load(std::memory_order_relaxed),
          .bytes = bytes.load(std::memory_order_relaxed)};
}

}  // namespace despina
