#include "engine/ordered_release.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace despina {
namespace {

class OrderedReleaseTest : public ::testing::Test, protected Completion {
 protected:
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override {
    released_.push_back(request->state.sequence);
    if (then_) std::exchange(then_, nullptr)(turn);
  }
  void Pass(uint64_t sequence, Turn& turn) {
    auto request = std::make_unique<Request>(ModelRef());
    request->state.sequence = sequence;
    request->completion = this;
    order_.Pass(std::move(request), turn);
  }

  OrderedRelease order_;
  Turn turn_;
  // No lock: the order lets one thread at a time give back.
  std::vector<uint64_t> released_;
  std::function<void(Turn&)> then_;
};

TEST_F(OrderedReleaseTest, HoldsWhatIsEarly) {
  Pass(3, turn_);
  Pass(2, turn_);
  EXPECT_TRUE(released_.empty());
  Pass(1, turn_);
  EXPECT_EQ(released_, (std::vector<uint64_t>{1, 2, 3}));
  Pass(4, turn_);
  EXPECT_EQ(released_.size(), 4u);
}

TEST_F(OrderedReleaseTest, WhatPassesWhileOneIsGivenBackFollowsIt) {
  then_ = [this](Turn& turn) {
    Pass(2, turn);
    EXPECT_EQ(released_.size(), 1u);
  };
  Pass(1, turn_);
  EXPECT_EQ(released_, (std::vector<uint64_t>{1, 2}));
}

TEST_F(OrderedReleaseTest, KeepsTheOrderOfManyThreads) {
  constexpr uint64_t kRequests = 2000;
  std::vector<uint64_t> sequences(kRequests);
  for (uint64_t i = 0; i < kRequests; ++i) sequences[i] = i + 1;
  std::ranges::shuffle(sequences, std::mt19937(7));
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Turn turn;
      for (size_t at = next++; at < kRequests; at = next++) Pass(sequences[at], turn);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(released_.size(), kRequests);
  EXPECT_TRUE(std::ranges::is_sorted(released_));
}

}  // namespace
}  // namespace despina
