#include "frontend/compression_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

namespace despina::frontend {
namespace {

constexpr size_t kPart = size_t{64} << 10;

class CompressionQueueTest : public ::testing::Test {
 protected:
  // Writes its name for each part that it gets.
  class Work final : public CompressionQueue::Job {
   public:
    Work(std::string& log, char name, size_t size) : log_(log), name_(name), left_(size) {}
    bool Continue(size_t& most) override {
      const size_t part = std::min(most, left_);
      left_ -= part;
      most -= part;
      log_ += name_;
      return left_ == 0;
    }

   private:
    std::string& log_;
    const char name_;
    size_t left_;
  };

  void Start(char name, size_t size) { queue_.Start(std::make_unique<Work>(log_, name, size)); }
  void RunLoop() {
    loop_.Finish();
    loop_.Run();
  }

  net::Loop loop_;
  CompressionQueue queue_{loop_};
  std::string log_;
};

TEST_F(CompressionQueueTest, WhatIsSmallIsDoneAtOnce) {
  Start('a', kPart / 4);
  Start('b', kPart / 4);
  EXPECT_EQ(log_, "ab");
  RunLoop();
  EXPECT_EQ(log_, "ab");
}

TEST_F(CompressionQueueTest, TheRestOfWhatIsLargeIsDoneInLaterTurns) {
  Start('a', 3 * kPart);
  EXPECT_EQ(log_, "a");
  RunLoop();
  EXPECT_EQ(log_, "aaa");
}

TEST_F(CompressionQueueTest, OneTurnDoesNoMoreThanAPartHoweverManyThereAre) {
  for (const char name : {'a', 'b', 'c'}) Start(name, kPart * 3 / 4);
  EXPECT_EQ(log_, "ab");
  RunLoop();
  EXPECT_EQ(log_, "abbcc");
  log_.clear();
  Start('d', 1);
  EXPECT_EQ(log_, "d") << "a new turn";
}

TEST_F(CompressionQueueTest, ThoseThatAreLargeTakeTurns) {
  for (const char name : {'a', 'b'}) Start(name, 3 * kPart);
  RunLoop();
  EXPECT_EQ(log_, "aababb");
}

}  // namespace
}  // namespace despina::frontend
