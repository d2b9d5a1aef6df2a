#include "grpc/outbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "memory/pool.h"

namespace despina::grpc {
namespace {

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class OutboxTest : public ::testing::Test {
 protected:
  // All that is to be sent.
  std::string Text() const {
    std::string text;
    for (const auto& piece : outbox_.pieces()) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    return text;
  }
  Slice Large(size_t size, char letter) {
    Buffer buffer = *pool_.Allocate(size);
    std::ranges::fill(buffer.writable(), static_cast<std::byte>(letter));
    return Slice(std::move(buffer));
  }

  BufferPool pool_;
  Outbox outbox_{pool_};
};

TEST_F(OutboxTest, PutsWhatIsSmallIntoOnePiece) {
  EXPECT_TRUE(outbox_.pieces().empty());
  ASSERT_TRUE(outbox_.Copy(Bytes("one ")));
  ASSERT_TRUE(outbox_.Copy(Bytes("two ")));
  ASSERT_TRUE(outbox_.Add(Large(3, 'x')));
  EXPECT_EQ(outbox_.pieces().size(), 1U);
  EXPECT_EQ(Text(), "one two xxx");
  EXPECT_EQ(outbox_.size(), 11U);
}

TEST_F(OutboxTest, LeavesWhatIsLargeWhereItIs) {
  const Slice large = Large(100'000, 'x');
  ASSERT_TRUE(outbox_.Copy(Bytes("head")));
  ASSERT_TRUE(outbox_.Add(large));
  ASSERT_TRUE(outbox_.Copy(Bytes("tail")));
  ASSERT_EQ(outbox_.pieces().size(), 3U);
  EXPECT_EQ(outbox_.pieces()[1].data(), large.data());
  EXPECT_EQ(Text(), "head" + std::string(100'000, 'x') + "tail");
}

TEST_F(OutboxTest, KeepsWhatItRefersTo) {
  ASSERT_TRUE(outbox_.Add(Large(100'000, 'y')));
  EXPECT_EQ(Text(), std::string(100'000, 'y'));
}

TEST_F(OutboxTest, DropsWhatWasSentInAnyPieces) {
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string text = std::to_string(i) + " ";
    ASSERT_TRUE(outbox_.Copy(Bytes(text)));
    ASSERT_TRUE(outbox_.Add(Large(static_cast<size_t>(i) * 7, 'z')));
    all += text + std::string(static_cast<size_t>(i) * 7, 'z');
    const size_t sent = std::min<size_t>(outbox_.size(), 2500);
    outbox_.Drop(sent);
    all.erase(0, sent);
    ASSERT_EQ(outbox_.size(), all.size());
  }
  EXPECT_EQ(Text(), all);
  outbox_.Drop(outbox_.size());
  EXPECT_TRUE(outbox_.pieces().empty());
}

TEST_F(OutboxTest, HoldsNothingOnceAllIsSent) {
  ASSERT_TRUE(outbox_.Copy(Bytes("text")));
  ASSERT_TRUE(outbox_.Add(Large(100'000, 'x')));
  outbox_.Drop(outbox_.size());
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
  ASSERT_TRUE(outbox_.Copy(Bytes("more")));
  EXPECT_EQ(Text(), "more");
}

TEST_F(OutboxTest, SaysWhenThereIsNoMemory) {
  BufferPool none({.max_bytes_in_use = 1});
  Outbox outbox(none);
  EXPECT_FALSE(outbox.Copy(Bytes("text")));
}

}  // namespace
}  // namespace despina::grpc
