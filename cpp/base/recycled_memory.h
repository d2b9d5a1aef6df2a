// Memory for small things that are made and destroyed with each request.
#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace despina {

// The calling thread's BlockCache. A block may be given back on any thread, which keeps it then.
class RecycledMemory {
 public:
  // Throws std::bad_alloc.
  static void* Allocate(size_t size);
  // `size`: as it was asked for.
  static void Free(void* block, size_t size) noexcept;
  // Of blocks that wait to be used again on this thread.
  static size_t kept_bytes();
};

// Of a base class: how its derived ones are made and destroyed with `new` and `delete`.
class Recycled {
 public:
  static void* operator new(size_t size) { return RecycledMemory::Allocate(size); }
  static void operator delete(void* block, size_t size) noexcept {
    RecycledMemory::Free(block, size);
  }
  // Nothing is aligned for more than standard types.
  static void* operator new(size_t size, std::align_val_t) = delete;

 protected:
  Recycled() = default;
  ~Recycled() = default;
};

// As std::allocator.
template <class T>
struct RecyclingAllocator {
  using value_type = T;
  static_assert(alignof(T) <= alignof(std::max_align_t));

  RecyclingAllocator() = default;
  template <class Other>
  // NOLINTNEXTLINE(google-explicit-constructor): containers convert it to the type that they make.
  RecyclingAllocator(const RecyclingAllocator<Other>&) noexcept {}

  T* allocate(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(RecycledMemory::Allocate(count * sizeof(T)));
  }
  void deallocate(T* block, size_t count) noexcept {
    RecycledMemory::Free(block, count * sizeof(T));
  }
  // What is added without a value is not cleared.
  template <class Made>
  void construct(Made* place) {
    ::new (static_cast<void*>(place)) Made;
  }
  template <class Made, class... Values>
  void construct(Made* place, Values&&... values) {
    ::new (static_cast<void*>(place)) Made(std::forward<Values>(values)...);
  }
  bool operator==(const RecyclingAllocator&) const = default;
};

template <class T>
using RecycledVector = std::vector<T, RecyclingAllocator<T>>;

}  // namespace despina
