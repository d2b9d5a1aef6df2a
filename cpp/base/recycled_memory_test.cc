#include "base/recycled_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/block_cache.h"

namespace despina {
namespace {

// On a thread of its own, so that nothing is kept before.
template <class Test>
void OnItsOwnThread(Test test) {
  std::thread(test).join();
}

TEST(RecycledMemoryTest, BlocksAreAlignedAndTheirBytesAreTheirOwn) {
  OnItsOwnThread([] {
    for (int round = 0; round < 2; ++round) {
      std::vector<std::pair<unsigned char*, size_t>> blocks;
      for (size_t size = 0; size < 1200; ++size) {
        auto* const block = static_cast<unsigned char*>(RecycledMemory::Allocate(size));
        EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t), 0U);
        std::memset(block, static_cast<int>(size % 251), size);
        blocks.emplace_back(block, size);
      }
      for (const auto& [block, size] : blocks) {
        for (size_t i = 0; i < size; ++i) ASSERT_EQ(block[i], size % 251);
        RecycledMemory::Free(block, size);
      }
    }
  });
}

TEST(RecycledMemoryTest, AThreadKeepsSomeOfEachSize) {
  OnItsOwnThread([] {
    std::vector<void*> blocks;
    for (int i = 0; i < 1000; ++i) blocks.push_back(RecycledMemory::Allocate(511));
    for (void* const block : blocks) RecycledMemory::Free(block, 511);
    EXPECT_EQ(RecycledMemory::kept_bytes(), kKeepsBlocks ? size_t{64} << 10 : 0);
  });
}

TEST(RecycledMemoryTest, ABlockMayBeGivenBackOnAnotherThreadAndAtItsEnd) {
  // Destroyed after the thread's blocks were freed: it is made before.
  struct Late {
    void* block = nullptr;
    size_t* kept = nullptr;
    ~Late() {
      RecycledMemory::Free(block, 63);
      *kept = RecycledMemory::kept_bytes();
    }
  };
  void* const block = RecycledMemory::Allocate(63);
  size_t kept_at_the_end = 1;
  OnItsOwnThread([&] {
    static thread_local Late late;
    late.block = RecycledMemory::Allocate(63);
    late.kept = &kept_at_the_end;
    RecycledMemory::Free(block, 63);
    EXPECT_EQ(RecycledMemory::kept_bytes(), kKeepsBlocks ? 64 : 0);
  });
  EXPECT_EQ(kept_at_the_end, 0U);
}

TEST(RecycledMemoryTest, WhatThereCannotBeIsRefused) {
  constexpr size_t kAll = std::numeric_limits<size_t>::max();
  EXPECT_THROW(RecycledMemory::Allocate(kAll), std::bad_alloc);
  EXPECT_THROW(RecyclingAllocator<int64_t>().allocate(kAll / 4), std::bad_alloc);
  RecycledMemory::Free(nullptr, 63);
}

TEST(RecycledMemoryTest, ObjectsAndContainersAreMadeOfIt) {
  if (!kKeepsBlocks) GTEST_SKIP() << "nothing is kept from the sanitizer";
  struct Base : Recycled {
    Base() = default;
    Base(const Base&) = delete;
    Base& operator=(const Base&) = delete;
    virtual ~Base() = default;
  };
  struct Derived final : Base {
    int64_t more[16] = {};
  };
  OnItsOwnThread([] {
    constexpr size_t kObject = (sizeof(Derived) / 64 + 1) * 64;
    // As long as the whole object, whatever it is deleted as.
    std::unique_ptr<Base> object = std::make_unique<Derived>();
    object.reset();
    EXPECT_EQ(RecycledMemory::kept_bytes(), kObject);
    RecycledVector<int64_t> eight(8);
    EXPECT_EQ(RecycledMemory::kept_bytes(), kObject);
    RecycledVector<int64_t>().swap(eight);
    EXPECT_EQ(RecycledMemory::kept_bytes(), kObject + 128);
  });
}

}  // namespace
}  // namespace despina
