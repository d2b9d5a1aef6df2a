#include "grpc/session_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace despina::grpc {
namespace {

constexpr size_t kUnlimited = std::numeric_limits<size_t>::max();

TEST(SessionMemoryTest, BlocksAreAlignedAndTheirBytesAreTheirOwn) {
  SessionMemory memory(kUnlimited);
  std::vector<std::pair<unsigned char*, size_t>> blocks;
  for (size_t size = 0; size < 1200; ++size) {
    auto* const block = static_cast<unsigned char*>(memory.Allocate(size));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignof(std::max_align_t), 0U);
    std::memset(block, static_cast<int>(size % 251), size);
    blocks.emplace_back(block, size);
  }
  for (const auto& [block, size] : blocks) {
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(block[i], size % 251);
    memory.Free(block);
  }
}

TEST(SessionMemoryTest, SmallBlocksAreUsedAgainAndSomeAreKept) {
  if (!kKeepsBlocks) GTEST_SKIP() << "nothing is kept from the sanitizer";
  SessionMemory memory(kUnlimited);
  void* const first = memory.Allocate(100);
  memory.Free(first);
  EXPECT_EQ(memory.kept_bytes(), 128U);
  EXPECT_EQ(memory.Allocate(90), first);
  memory.Free(first);
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; ++i) blocks.push_back(memory.Allocate(400));
  for (void* const block : blocks) memory.Free(block);
  EXPECT_GT(memory.kept_bytes(), size_t{15} << 10);
  EXPECT_LE(memory.kept_bytes(), (size_t{16} << 10) + 128);
}

TEST(SessionMemoryTest, ABlockThatGrowsKeepsItsBytes) {
  SessionMemory memory(kUnlimited);
  auto* block = static_cast<char*>(memory.Reallocate(nullptr, 3));
  std::memcpy(block, "ab", 3);
  EXPECT_EQ(memory.Reallocate(block, 2), block);
  block = static_cast<char*>(memory.Reallocate(block, 4000));
  EXPECT_STREQ(block, "ab");
  memory.Free(block);
  memory.Free(nullptr);
}

TEST(SessionMemoryTest, ABlockOfZerosIsOneAlsoTheSecondTime) {
  SessionMemory memory(kUnlimited);
  for (int i = 0; i < 2; ++i) {
    auto* const block = static_cast<char*>(memory.AllocateZeroed(10, 10));
    for (int at = 0; at < 100; ++at) ASSERT_EQ(block[at], 0);
    std::memset(block, 1, 100);
    memory.Free(block);
  }
}

TEST(SessionMemoryTest, SizesThatThereCannotBeGetNull) {
  SessionMemory memory(kUnlimited);
  EXPECT_EQ(memory.Allocate(std::numeric_limits<size_t>::max()), nullptr);
  EXPECT_EQ(memory.AllocateZeroed(size_t{1} << 40, size_t{1} << 40), nullptr);
  void* const block = memory.Allocate(10);
  EXPECT_EQ(memory.Reallocate(block, std::numeric_limits<size_t>::max() - 20), nullptr);
  memory.Free(block);
}

TEST(SessionMemoryTest, WhatIsInUseIsBounded) {
  SessionMemory memory(100);
  void* const first = memory.Allocate(60);
  EXPECT_EQ(memory.bytes_in_use(), 60U);
  EXPECT_EQ(memory.Allocate(41), nullptr);
  EXPECT_EQ(memory.AllocateZeroed(2, 21), nullptr);
  EXPECT_EQ(memory.Reallocate(first, 101), nullptr);
  void* const second = memory.Allocate(40);
  ASSERT_NE(second, nullptr);
  memory.Free(first);
  memory.Free(second);
  EXPECT_EQ(memory.bytes_in_use(), 0U);
  void* const grown = memory.Reallocate(memory.Allocate(10), 80);
  EXPECT_EQ(memory.bytes_in_use(), 80U);
  memory.Free(grown);
}

}  // namespace
}  // namespace despina::grpc
