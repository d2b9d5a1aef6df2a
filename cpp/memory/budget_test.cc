#include "memory/budget.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace despina {
namespace {

TEST(Budget, GivesUpToItsLimit) {
  Budget budget(10);
  EXPECT_TRUE(budget.TryTake(6));
  EXPECT_FALSE(budget.TryTake(5));
  EXPECT_EQ(budget.used(), 6u);
  EXPECT_TRUE(budget.TryTake(4));
  EXPECT_FALSE(budget.TryTake(1));
  EXPECT_TRUE(budget.TryTake(0));
  budget.Give(10);
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_EQ(budget.limit(), 10u);
}

TEST(Budget, RefusesWhatWouldOverflow) {
  Budget budget(10);
  ASSERT_TRUE(budget.TryTake(1));
  EXPECT_FALSE(budget.TryTake(UINT64_MAX));
  EXPECT_EQ(budget.used(), 1u);
}

// Those who ask for more than there is must not make the others fail, not even for a moment.
TEST(Budget, RefusalsDoNotDisturbOthers) {
  Budget budget(100);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&budget] {
      for (int n = 0; n < 5000; ++n) EXPECT_FALSE(budget.TryTake(101));
    });
    threads.emplace_back([&budget] {
      for (int n = 0; n < 5000; ++n) {
        ASSERT_TRUE(budget.TryTake(50));
        budget.Give(50);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace despina
