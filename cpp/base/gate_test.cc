#include "base/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace despina {
namespace {

TEST(Gate, CountsThoseInside) {
  Gate gate;
  EXPECT_EQ(gate.inside(), 0u);
  EXPECT_TRUE(gate.Enter());
  EXPECT_TRUE(gate.Enter());
  EXPECT_EQ(gate.inside(), 2u);
  gate.Leave();
  EXPECT_EQ(gate.inside(), 1u);
  gate.Leave();
  EXPECT_EQ(gate.inside(), 0u);
  EXPECT_FALSE(gate.closed());
}

TEST(Gate, ClosedTurnsNewcomersAwayAndKeepsThoseInside) {
  Gate gate;
  ASSERT_TRUE(gate.Enter());
  gate.Close();
  gate.Close();
  EXPECT_TRUE(gate.closed());
  EXPECT_FALSE(gate.Enter());
  EXPECT_EQ(gate.inside(), 1u);
  gate.Leave();
  EXPECT_EQ(gate.inside(), 0u);
  gate.WaitUntilEmpty();
}

TEST(Gate, WaitGivesUpAtTheDeadlineAndCanBeRepeated) {
  ManualClock clock;
  Gate gate;
  ASSERT_TRUE(gate.Enter());
  gate.Close();
  EXPECT_FALSE(gate.WaitUntilEmpty(clock, clock.Now()));

  const TimePoint deadline = clock.Now() + std::chrono::hours(1);
  std::thread mover([&clock] { clock.Advance(std::chrono::hours(1)); });
  EXPECT_FALSE(gate.WaitUntilEmpty(clock, deadline));
  mover.join();

  gate.Leave();
  EXPECT_TRUE(gate.WaitUntilEmpty(clock, clock.Now()));
}

TEST(Gate, WaitBeginsBeforeItIsClosed) {
  Gate gate;
  std::thread waiter([&gate] { gate.WaitUntilEmpty(); });
  gate.Close();
  waiter.join();
  EXPECT_TRUE(gate.closed());
}

// What the sanitizers watch: the gate goes the moment that it is empty.
TEST(Gate, CanBeDestroyedAsSoonAsItIsEmpty) {
  for (int round = 0; round < 50; ++round) {
    auto gate = std::make_unique<Gate>();
    std::atomic<int> entered{0};
    std::vector<std::thread> visitors;
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(gate->Enter());
      visitors.emplace_back([&entered, gate = gate.get()] {
        // Inside already, so that more may be tried.
        for (int visit = 0; visit < 20 && gate->Enter(); ++visit) {
          ++entered;
          gate->Leave();
        }
        gate->Leave();
      });
    }
    gate->Close();
    gate->WaitUntilEmpty();
    gate.reset();
    for (std::thread& visitor : visitors) visitor.join();
    EXPECT_LE(entered.load(), 80);
  }
}

}  // namespace
}  // namespace despina
