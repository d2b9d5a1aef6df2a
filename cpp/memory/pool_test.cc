#include "memory/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace despina {
namespace {

// Counts what is out, and fails when it is told to.
class CountingSource final : public MemorySource {
 public:
  std::byte* Obtain(size_t size) noexcept override {
    if (empty) return nullptr;
    last_size = size;
    bytes += size;
    return static_cast<std::byte*>(std::aligned_alloc(kDataAlignment, size));
  }
  void Return(std::byte* memory, size_t size) noexcept override {
    bytes -= size;
    std::free(memory);
  }

  std::atomic<size_t> bytes{0};
  std::atomic<size_t> last_size{0};
  bool empty = false;
};

class PoolTest : public ::testing::Test {
 protected:
  static Buffer Take(BufferPool& pool, size_t size) {
    Result<Buffer> buffer = pool.Allocate(size);
    EXPECT_TRUE(buffer.ok()) << buffer.status().message();
    return *std::move(buffer);
  }

  CountingSource source_;
};

TEST_F(PoolTest, BuffersAreAlignedAndOfTheSizeAskedFor) {
  BufferPool pool({}, source_);
  for (const size_t size : {0, 1, 63, 255, 256, 257, 1000, 1 << 20}) {
    Buffer buffer = Take(pool, size);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % kDataAlignment, 0u);
    std::memset(buffer.writable().data(), 0xAB, size);
  }
}

// Any size: what the source is asked for holds it, and above the smallest class at most a fifth
// of that is unused.
TEST_F(PoolTest, ClassesFitAndWasteLittle) {
  BufferPool pool({.max_cached_bytes = 0}, source_);
  std::mt19937_64 random(20261123);
  std::vector<size_t> sizes{256, 257, 320, 321, 511, 512, 513, (1 << 20) - 1, 1 << 20};
  for (int i = 0; i < 3000; ++i) {
    const auto bits = static_cast<unsigned>(random() % 24 + 1);
    sizes.push_back(random() % (size_t{1} << bits));
  }
  for (const size_t size : sizes) {
    const Buffer buffer = Take(pool, size);
    const size_t obtained = source_.last_size;
    ASSERT_GE(obtained, size);
    ASSERT_EQ(obtained % kDataAlignment, 0u);
    ASSERT_EQ(pool.statistics().bytes_in_use, obtained);
    if (size <= 256) {
      ASSERT_EQ(obtained, 256u);
    } else {
      ASSERT_LE((obtained - size) * 5, obtained) << size;
    }
  }
  EXPECT_EQ(source_.bytes, 0u);
}

TEST_F(PoolTest, TheLastOneGivenBackIsTheFirstHandedOut) {
  BufferPool pool({}, source_);
  Buffer first = Take(pool, 1000);
  Buffer second = Take(pool, 1000);
  const std::byte* at_first = first.data();
  const std::byte* at_second = second.data();
  first = Buffer();
  second = Buffer();
  // Another size of the same class.
  first = Take(pool, 900);
  EXPECT_EQ(first.data(), at_second);
  EXPECT_EQ(first.size(), 900u);
  second = Take(pool, 1000);
  EXPECT_EQ(second.data(), at_first);
}

TEST_F(PoolTest, StatisticsCountInClassSizes) {
  BufferPool pool({}, source_);
  {
    const Buffer small = Take(pool, 1);
    const Buffer large = Take(pool, 300);
    EXPECT_EQ(pool.statistics().bytes_in_use, 256u + 320u);
    EXPECT_EQ(pool.statistics().bytes_cached, 0u);
  }
  EXPECT_EQ(pool.statistics().bytes_in_use, 0u);
  EXPECT_EQ(pool.statistics().bytes_cached, 256u + 320u);
  const Buffer again = Take(pool, 2);
  const AllocatorStatistics statistics = pool.statistics();
  EXPECT_EQ(statistics.bytes_cached, 320u);
  EXPECT_EQ(statistics.allocations, 3u);
  EXPECT_EQ(statistics.cache_hits, 1u);
  EXPECT_EQ(statistics.refusals, 0u);
}

TEST_F(PoolTest, KeepsNoMoreThanItMayAndNoLargeOnes) {
  BufferPool pool({.max_cached_bytes = 600, .max_cached_buffer = 512}, source_);
  { const Buffer large = Take(pool, 513); }
  EXPECT_EQ(source_.bytes, 0u);
  {
    const Buffer first = Take(pool, 256);
    const Buffer second = Take(pool, 256);
    const Buffer third = Take(pool, 256);
  }
  EXPECT_EQ(pool.statistics().bytes_cached, 512u);
  EXPECT_EQ(source_.bytes, 512u);
  pool.Trim();
  EXPECT_EQ(pool.statistics().bytes_cached, 0u);
  EXPECT_EQ(source_.bytes, 0u);
}

TEST_F(PoolTest, RefusesWhatGoesOverItsLimit) {
  BufferPool pool({.max_bytes_in_use = 512}, source_);
  Buffer first = Take(pool, 100);
  const Result<Buffer> refused = pool.Allocate(257);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(refused.status().message(),
            "no memory for a buffer of 257 bytes: over the pool's limit");
  EXPECT_EQ(pool.statistics().refusals, 1u);
  EXPECT_EQ(pool.statistics().bytes_in_use, 256u);
  const Buffer second = Take(pool, 256);
  first = Buffer();
  Take(pool, 10);
}

TEST_F(PoolTest, RefusesSizesThatNoMachineHas) {
  BufferPool pool({}, source_);
  EXPECT_EQ(pool.Allocate(SIZE_MAX).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(pool.Allocate((size_t{1} << 38) + 1).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(pool.statistics().refusals, 2u);
}

TEST_F(PoolTest, SaysWhenThereIsNoMemoryAndGoesOnAfterwards) {
  BufferPool pool({}, source_);
  source_.empty = true;
  const Result<Buffer> refused = pool.Allocate(100);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(refused.status().message(), "no memory for a buffer of 100 bytes: the system has none");
  EXPECT_EQ(pool.statistics().bytes_in_use, 0u);
  EXPECT_EQ(pool.statistics().refusals, 1u);
  source_.empty = false;
  Take(pool, 100);
  EXPECT_EQ(pool.statistics().allocations, 1u);
}

TEST_F(PoolTest, GivesEverythingBackWhenItIsDestroyed) {
  {
    BufferPool pool({}, source_);
    Take(pool, 100);
    Take(pool, 5000);
    EXPECT_GT(source_.bytes, 0u);
  }
  EXPECT_EQ(source_.bytes, 0u);
}

TEST_F(PoolTest, ServesManyThreadsAndPassesBuffersBetweenThem) {
  {
    BufferPool pool({.max_cached_bytes = 16 << 10}, source_);
    std::mutex mutex;
    std::vector<Buffer> shared;
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 4; ++seed) {
      threads.emplace_back([&, seed] {
        std::mt19937 random(seed);
        for (int i = 0; i < 1000; ++i) {
          Buffer mine = Take(pool, random() % 4096);
          std::memset(mine.writable().data(), static_cast<int>(seed), mine.size());
          Buffer other = mine;
          std::lock_guard lock(mutex);
          if (shared.size() < 16) shared.push_back(std::move(other));
          if (i % 3 == 0) shared.pop_back();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    shared.clear();
    const AllocatorStatistics statistics = pool.statistics();
    EXPECT_EQ(statistics.bytes_in_use, 0u);
    EXPECT_EQ(statistics.allocations, 4000u);
    EXPECT_LE(statistics.bytes_cached, 16u << 10);
    EXPECT_EQ(statistics.bytes_cached, source_.bytes);
  }
  EXPECT_EQ(source_.bytes, 0u);
}

}  // namespace
}  // namespace despina
