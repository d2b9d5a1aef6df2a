#include "memory/buffer.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <utility>
#include <vector>

namespace despina {
namespace {

class CountedBlock final : public Block {
 public:
  CountedBlock(std::span<std::byte> memory, int& released)
      : Block(memory.data(), memory.size()), released_(released) {}

 private:
  void Release() noexcept override { ++released_; }
  int& released_;
};

class BufferTest : public ::testing::Test {
 protected:
  alignas(kDataAlignment) std::array<std::byte, 128> memory_{};
  int released_ = 0;
  CountedBlock block_{memory_, released_};
};

TEST_F(BufferTest, IsReleasedOnceWithTheLastReference) {
  Buffer first(&block_);
  Buffer second = first;
  const Buffer third = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): it is what is tested
  second = Buffer();
  EXPECT_EQ(released_, 0);
  EXPECT_EQ(third.data(), memory_.data());
  { const Buffer last = third; }
  EXPECT_EQ(released_, 0);
  const_cast<Buffer&>(third) = Buffer();
  EXPECT_EQ(released_, 1);
}

TEST_F(BufferTest, WithoutABlockIsEmpty) {
  Buffer none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(none.size(), 0u);
  EXPECT_TRUE(none.writable().empty());
}

TEST_F(BufferTest, SlicesKeepTheWholeBuffer) {
  Slice part;
  {
    const Slice whole{Buffer(&block_)};
    part = whole.Part(64, 10).Part(4, 6);
  }
  EXPECT_EQ(released_, 0);
  EXPECT_EQ(part.data(), memory_.data() + 68);
  EXPECT_EQ(part.size(), 6u);
  EXPECT_EQ(part.buffer().data(), memory_.data());
  part = Slice();
  EXPECT_EQ(released_, 1);
}

TEST_F(BufferTest, SlicesKnowWhetherTheyAreAligned) {
  const Slice whole{Buffer(&block_)};
  EXPECT_TRUE(whole.aligned());
  EXPECT_TRUE(whole.Part(64, 1).aligned());
  EXPECT_FALSE(whole.Part(32, 1).aligned());
  EXPECT_TRUE(Slice().aligned());
}

TEST_F(BufferTest, ReferencesAreDroppedOnAnyThread) {
  {
    const Buffer buffer(&block_);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([copy = buffer] {
        for (int n = 0; n < 1000; ++n) const Buffer another = copy;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(released_, 0);
  }
  EXPECT_EQ(released_, 1);
}

}  // namespace
}  // namespace despina
