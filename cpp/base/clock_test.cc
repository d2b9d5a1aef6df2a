#include "base/clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace despina {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(ManualClock, StandsStillUntilItIsMoved) {
  ManualClock clock;
  const TimePoint begin = clock.Now();
  EXPECT_EQ(clock.Now(), begin);
  clock.Advance(milliseconds(5));
  EXPECT_EQ(clock.Now() - begin, milliseconds(5));
}

TEST(ManualClock, WaitIsOverOnceItIsMovedPastTheDeadline) {
  ManualClock clock;
  const TimePoint deadline = clock.Now() + hours(1);
  std::thread mover([&clock] { clock.Advance(hours(1)); });
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  while (clock.Now() < deadline) clock.WaitUntil(changed, lock, deadline);
  EXPECT_TRUE(lock.owns_lock());
  mover.join();
}

TEST(SystemClock, WaitEndsAtTheDeadlineOrWhenItIsNotified) {
  Clock& clock = Clock::System();
  std::mutex mutex;
  std::condition_variable changed;
  std::unique_lock lock(mutex);
  const TimePoint deadline = clock.Now() + milliseconds(1);
  while (clock.Now() < deadline) clock.WaitUntil(changed, lock, deadline);

  bool set = false;
  std::thread other([&] {
    std::lock_guard guard(mutex);
    set = true;
    changed.notify_one();
  });
  while (!set) clock.WaitUntil(changed, lock, TimePoint::max());
  other.join();
}

TEST(Later, StopsAtTheEndOfTime) {
  const TimePoint now{hours(1)};
  EXPECT_EQ(Later(now, milliseconds(3)), now + milliseconds(3));
  EXPECT_EQ(Later(now, Duration::max()), TimePoint::max());
  EXPECT_EQ(Later(TimePoint::max(), Duration(1)), TimePoint::max());
}

}  // namespace
}  // namespace despina
