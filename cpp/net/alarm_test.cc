#include "net/alarm.h"

#include <gtest/gtest.h>

#include <chrono>

namespace despina::net {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;

TEST(Alarm, RingsOnceNotBeforeItsTime) {
  Loop loop;
  const TimePoint when = Clock::System().Now() + microseconds(700);
  int rung = 0;
  Alarm alarm(loop, [&] {
    EXPECT_GE(Clock::System().Now(), when);
    ++rung;
    alarm.Close();
  });
  alarm.Set(when);
  loop.Finish();
  loop.Run();
  EXPECT_EQ(rung, 1);
}

TEST(Alarm, RingsAtOnceForATimeThatHasPassed) {
  Loop loop;
  int rung = 0;
  Alarm alarm(loop, [&] {
    if (++rung == 2) return alarm.Close();
    alarm.Set(Clock::System().Now() - hours(1));
  });
  alarm.Set(TimePoint());
  loop.Finish();
  loop.Run();
  EXPECT_EQ(rung, 2);
}

TEST(Alarm, CanBeSetAnewBeforeItRings) {
  Loop loop;
  int rung = 0;
  Alarm alarm(loop, [&] {
    ++rung;
    alarm.Close();
  });
  alarm.Set(Clock::System().Now() + hours(1));
  alarm.Set(Clock::System().Now() + microseconds(1));
  loop.Finish();
  loop.Run();
  EXPECT_EQ(rung, 1);
}

TEST(Alarm, LetsTheLoopEndOnceItIsClosed) {
  Loop loop;
  Alarm alarm(loop, [] { ADD_FAILURE(); });
  alarm.Set(Clock::System().Now() + hours(1));
  loop.Post([&] { alarm.Close(); });
  loop.Finish();
  loop.Run();
}

}  // namespace
}  // namespace despina::net
