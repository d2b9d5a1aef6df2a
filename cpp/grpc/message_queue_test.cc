#include "grpc/message_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memory/pool.h"

namespace despina::grpc {
namespace {

class MessageQueueTest : public ::testing::Test {
 protected:
  Slice Data(std::string_view text) {
    if (text.empty()) return {};
    Buffer buffer = *pool_.Allocate(text.size());
    std::memcpy(buffer.writable().data(), text.data(), text.size());
    return Slice(std::move(buffer));
  }
  // Texts and data in turn.
  protocol::EncodedMessage Message(const std::vector<std::string>& parts) {
    protocol::EncodedMessage message;
    for (size_t i = 0; i < parts.size(); i += 2) {
      for (const char each : parts[i]) message.text.push_back(static_cast<std::byte>(each));
      message.pieces.push_back({.text_bytes = parts[i].size(),
                                .data = i + 1 < parts.size() ? Data(parts[i + 1]) : Slice()});
    }
    return message;
  }
  // What is sent of a message.
  static std::string Framed(char flag, const std::vector<std::string>& parts) {
    std::string all;
    for (const std::string& part : parts) all += part;
    std::string prefix(5, '\0');
    prefix[0] = flag;
    for (size_t i = 0; i < 4; ++i) prefix[4 - i] = static_cast<char>(all.size() >> (8 * i));
    return prefix + all;
  }
  // Moves all, so many bytes at a time.
  std::string Moved(MessageQueue& queue, size_t step) {
    std::string all;
    while (queue.size() > 0) {
      const size_t size = std::min(step, queue.size());
      Outbox outbox(pool_);
      EXPECT_TRUE(queue.Move(size, outbox));
      EXPECT_EQ(outbox.size(), size);
      for (const auto& piece : outbox.pieces()) {
        all.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      }
    }
    return all;
  }

  BufferPool pool_;
};

TEST_F(MessageQueueTest, MessagesOfAnyPiecesAreMovedInPartsOfAnySize) {
  const std::vector<std::vector<std::string>> messages = {{"one ", "two ", "three ", "four"},
                                                          {},
                                                          {"only text"},
                                                          {"", "only data"},
                                                          {"a", ""},
                                                          {"", "", "b", std::string(5000, 'c')},
                                                          {"the last", ""}};
  for (size_t step = 1; step < 40; ++step) {
    MessageQueue queue;
    std::string expected;
    for (const auto& parts : messages) {
      queue.Push(Message(parts));
      expected += Framed(0, parts);
    }
    ASSERT_EQ(queue.size(), expected.size());
    ASSERT_EQ(Moved(queue, step), expected) << step;
    // It is as good as a new one.
    queue.Push(Message({"again"}));
    ASSERT_EQ(Moved(queue, step), Framed(0, {"again"})) << step;
  }
}

TEST_F(MessageQueueTest, WhatWasCompressedSaysSoAndIsShorterThanItWas) {
  MessageQueue queue;
  const std::vector<Slice> compressed = {Data("short"), Data("er")};
  EXPECT_FALSE(queue.PushCompressed(compressed, 7));
  EXPECT_EQ(queue.size(), 0U);
  EXPECT_TRUE(queue.PushCompressed(compressed, 8));
  EXPECT_EQ(Moved(queue, 3), Framed(1, {"short", "er"}));
}

TEST_F(MessageQueueTest, DataIsLetGoOfOnceItIsMoved) {
  MessageQueue queue;
  queue.Push(Message({"text", std::string(100, 'x'), "text", std::string(100'000, 'y')}));
  const uint64_t both = pool_.statistics().bytes_in_use;
  {
    Outbox outbox(pool_);
    ASSERT_TRUE(queue.Move(5 + 4 + 100, outbox));
  }
  EXPECT_LT(pool_.statistics().bytes_in_use, both);
  Moved(queue, 1000);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(MessageQueueTest, PlacesOfMessagesThatWereMovedAreUsedAgain) {
  MessageQueue queue;
  std::string expected;
  std::string moved;
  for (int i = 0; i < 2000; ++i) {
    const std::vector<std::string> parts = {std::to_string(i), "data"};
    queue.Push(Message(parts));
    queue.Push(Message(parts));
    expected += Framed(0, parts) + Framed(0, parts);
    Outbox outbox(pool_);
    // Never all of them.
    ASSERT_TRUE(queue.Move(queue.size() - 7, outbox));
    for (const auto& piece : outbox.pieces()) {
      moved.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
  }
  EXPECT_EQ(moved + Moved(queue, 1000), expected);
}

}  // namespace
}  // namespace despina::grpc
