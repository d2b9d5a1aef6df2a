#include "grpc/block_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace despina::grpc {
namespace {

TEST(BlockCacheTest, GivesTheBlockThatWasGivenBackAgain) {
#ifdef DESPINA_SANITIZED
  GTEST_SKIP() << "nothing is kept from the sanitizer";
#endif
  BlockCache cache;
  void* const first = cache.Allocate(100);
  cache.Free(first);
  EXPECT_EQ(cache.kept_bytes(), 128U);
  void* const other = cache.Allocate(32);
  EXPECT_NE(other, first);
  EXPECT_EQ(cache.Allocate(128), first);
  EXPECT_EQ(cache.kept_bytes(), 0U);
  cache.Free(first);
  cache.Free(other);
}

TEST(BlockCacheTest, BlocksAreAlignedAndTheirBytesAreTheirOwn) {
  BlockCache cache;
  std::vector<std::pair<unsigned char*, size_t>> blocks;
  for (size_t size = 0; size < 700; ++size) {
    auto* const block = static_cast<unsigned char*>(cache.Allocate(size));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t), 0U);
    std::memset(block, static_cast<int>(size % 251), size);
    blocks.emplace_back(block, size);
  }
  for (const auto& [block, size] : blocks) {
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(block[i], size % 251);
    cache.Free(block);
  }
}

TEST(BlockCacheTest, ABlockThatGrowsKeepsItsBytes) {
  BlockCache cache;
  auto* block = static_cast<char*>(cache.Reallocate(nullptr, 3));
  std::memcpy(block, "ab", 3);
  EXPECT_EQ(cache.Reallocate(block, 30), block);
  block = static_cast<char*>(cache.Reallocate(block, 4000));
  EXPECT_STREQ(block, "ab");
  cache.Free(block);
  cache.Free(nullptr);
}

TEST(BlockCacheTest, ABlockOfZerosIsOneAlsoTheSecondTime) {
  BlockCache cache;
  for (int i = 0; i < 2; ++i) {
    auto* const block = static_cast<char*>(cache.AllocateZeroed(10, 10));
    for (int at = 0; at < 100; ++at) ASSERT_EQ(block[at], 0);
    std::memset(block, 1, 100);
    cache.Free(block);
  }
}

TEST(BlockCacheTest, KeepsAFewOnly) {
  BlockCache cache;
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(cache.Allocate(512));
  blocks.push_back(cache.Allocate(5000));
  for (void* const block : blocks) cache.Free(block);
  EXPECT_LE(cache.kept_bytes(), size_t{64} << 10);
}

TEST(BlockCacheTest, SizesThatThereCannotBeGetNull) {
  BlockCache cache;
  EXPECT_EQ(cache.Allocate(std::numeric_limits<size_t>::max()), nullptr);
  EXPECT_EQ(cache.AllocateZeroed(size_t{1} << 40, size_t{1} << 40), nullptr);
  void* const block = cache.Allocate(10);
  EXPECT_EQ(cache.Reallocate(block, std::numeric_limits<size_t>::max() - 20), nullptr);
  cache.Free(block);
}

}  // namespace
}  // namespace despina::grpc
