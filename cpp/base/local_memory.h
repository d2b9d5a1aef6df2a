// Memory for containers that end with the scope that they are in.
#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>

namespace despina {

// So many bytes where it stands, usually on the stack, and the heap beyond. What is given back is
// not used again. One thread; outlives what is in it.
template <size_t kBytes>
class LocalMemory {
 public:
  LocalMemory() : resource_(bytes_.data(), bytes_.size()) {}
  LocalMemory(const LocalMemory&) = delete;
  LocalMemory& operator=(const LocalMemory&) = delete;

  std::pmr::memory_resource* get() { return &resource_; }

 private:
  alignas(std::max_align_t) std::array<std::byte, kBytes> bytes_;
  std::pmr::monotonic_buffer_resource resource_;
};

}  // namespace despina
