#include "base/block_cache.h"

#include <gtest/gtest.h>

#include <vector>

namespace despina {
namespace {

// So many blocks of a size, given back; how many are kept.
size_t Kept(BlockCache& cache, size_t size, int count) {
  std::vector<void*> blocks;
  for (int i = 0; i < count; ++i) blocks.push_back(cache.Allocate(size));
  size_t kept = 0;
  for (void* const block : blocks) {
    if (cache.Keep(block, size)) {
      ++kept;
    } else {
      std::free(block);
    }
  }
  return kept;
}

TEST(BlockCacheTest, KeepsNothingBeforeItIsToldHowMuch) {
  BlockCache cache;
  EXPECT_EQ(Kept(cache, 100, 3), 0U);
}

TEST(BlockCacheTest, GivesTheLastBlockOfThatSizeFirst) {
  BlockCache cache;
  cache.SetMost(1024);
  void* const first = cache.Allocate(100);
  void* const second = cache.Allocate(127);
  EXPECT_TRUE(cache.Keep(first, 100));
  EXPECT_TRUE(cache.Keep(second, 127));
  EXPECT_EQ(cache.bytes(), 256U);
  void* const third = cache.Allocate(64);
  void* const fourth = cache.Allocate(110);
  EXPECT_EQ(third, second);
  EXPECT_EQ(fourth, first);
  EXPECT_EQ(cache.bytes(), 0U);
  std::free(third);
  std::free(fourth);
}

TEST(BlockCacheTest, ASizeThatThereCannotBeGetsNull) {
  EXPECT_EQ(BlockCache().Allocate(SIZE_MAX), nullptr);
}

// Blocks that a thread gives back and never asks for left no room for those that it does.
TEST(BlockCacheTest, BlocksOfOneSizeTakeNoRoomFromAnother) {
  BlockCache cache;
  cache.SetMost(2560);
  EXPECT_EQ(Kept(cache, 100, 50), 5U);
  EXPECT_EQ(Kept(cache, 500, 50), 1U);
  EXPECT_EQ(Kept(cache, 0, 50), 10U);
  EXPECT_EQ(Kept(cache, 1024, 2), 0U);
  // Nor do all of them together take more than there is.
  EXPECT_EQ(Kept(cache, 200, 50), 2U);
  EXPECT_EQ(Kept(cache, 300, 50), 0U);
  EXPECT_EQ(cache.bytes(), 2304U);
  cache.Close();
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_EQ(Kept(cache, 100, 3), 0U);
}

}  // namespace
}  // namespace despina
