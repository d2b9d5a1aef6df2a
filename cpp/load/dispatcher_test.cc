#include "load/dispatcher.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace despina::load {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Notes what it is told, and answers when the test says so.
class FakeLane final : public Lane {
 public:
  void Begin() override { ++begun; }
  void Abort(std::string_view why) override { aborted = why; }
  void Close() override {}

  int begun = 0;
  std::string aborted;
};

class DispatcherTest : public ::testing::Test {
 protected:
  void Make(const Plan& plan, size_t lanes) {
    dispatcher_.emplace(
        plan, clock_, [this](TimePoint when) { wake_at_ = when; }, [this] { ++finished_; });
    for (size_t i = 0; i < lanes; ++i) {
      lanes_.push_back(std::make_unique<FakeLane>());
      dispatcher_->Ready(*lanes_.back());
    }
    dispatcher_->Start();
  }
  void End(size_t lane, std::string_view failure = {}) {
    const int status = failure.empty() ? 200 : 500;
    dispatcher_->Ended(*lanes_[lane], {.end = clock_.Now(), .status = status, .failure = failure});
    dispatcher_->Ready(*lanes_[lane]);
  }
  // Moves the clock, and wakes the dispatcher as often as it has asked for.
  void Pass(Duration time) {
    const TimePoint end = clock_.Now() + time;
    while (wake_at_ <= end) {
      const TimePoint when = std::exchange(wake_at_, TimePoint::max());
      clock_.Advance(std::max(when - clock_.Now(), Duration()));
      dispatcher_->Wake();
    }
    clock_.Advance(end - clock_.Now());
  }
  int begun() const {
    int sum = 0;
    for (const auto& lane : lanes_) sum += lane->begun;
    return sum;
  }
  const Figures& figures() const { return dispatcher_->figures(); }

  ManualClock clock_;
  TimePoint wake_at_ = TimePoint::max();
  int finished_ = 0;
  std::vector<std::unique_ptr<FakeLane>> lanes_;
  std::optional<Dispatcher> dispatcher_;
};

TEST_F(DispatcherTest, WithoutARateEachLaneSendsTheNextWhenItHasAnAnswer) {
  Make({.duration = seconds(10)}, 2);
  EXPECT_EQ(begun(), 2);
  clock_.Advance(seconds(1));
  EXPECT_EQ(begun(), 2);
  End(0);
  EXPECT_EQ(lanes_[0]->begun, 2);
  EXPECT_EQ(lanes_[1]->begun, 1);
  EXPECT_EQ(wake_at_, TimePoint::max());
}

TEST_F(DispatcherTest, CountsWhatBeginsAfterTheWarmUp) {
  Make({.warm_up = seconds(5), .duration = seconds(10)}, 1);
  clock_.Advance(seconds(3));
  End(0);
  clock_.Advance(seconds(4));
  // Begun at 3, ended at 7: of the warm-up, but answered in the measured time.
  End(0);
  clock_.Advance(seconds(2));
  End(0);
  dispatcher_->Stop();
  EXPECT_EQ(figures().succeeded(), 1U);
  EXPECT_EQ(figures().finished_in_time, 2U);
  EXPECT_EQ(figures().latency.greatest(), seconds(2));
  EXPECT_EQ(figures().measured, seconds(4));
}

TEST_F(DispatcherTest, WaitsForWhatIsUnderWayAtTheEnd) {
  Make({.duration = seconds(10)}, 2);
  clock_.Advance(seconds(11));
  End(0);
  EXPECT_EQ(finished_, 0);
  clock_.Advance(seconds(20));
  End(1);
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(begun(), 2);
  EXPECT_EQ(figures().succeeded(), 2U);
  EXPECT_EQ(figures().finished_in_time, 0U);
  EXPECT_EQ(figures().latency.greatest(), seconds(31));
  EXPECT_EQ(figures().measured, seconds(10));
}

TEST_F(DispatcherTest, EndsAfterANumberOfCountedRequests) {
  Make({.warm_up = seconds(1), .requests = 3}, 1);
  for (int i = 0; i < 2; ++i) {
    clock_.Advance(milliseconds(500));
    End(0);
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(finished_, 0);
    clock_.Advance(seconds(1));
    End(0);
  }
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(begun(), 5);
  EXPECT_EQ(figures().succeeded(), 3U);
  EXPECT_EQ(figures().measured, seconds(3));
}

TEST_F(DispatcherTest, WithARateSendsAtFixedTimes) {
  Make({.rate = 4, .duration = seconds(10)}, 8);
  EXPECT_EQ(begun(), 1);
  EXPECT_EQ(wake_at_, TimePoint(milliseconds(250)));
  Pass(milliseconds(249));
  EXPECT_EQ(begun(), 1);
  Pass(milliseconds(1));
  EXPECT_EQ(begun(), 2);
  Pass(milliseconds(1000));
  EXPECT_EQ(begun(), 6);
}

TEST_F(DispatcherTest, ARateDoesNotDrift) {
  Make({.rate = 3}, 1);
  for (int i = 0; i < 3000; ++i) {
    End(0);
    Pass(wake_at_ - clock_.Now());
  }
  EXPECT_EQ(begun(), 3001);
  EXPECT_EQ(clock_.Now(), TimePoint(seconds(1000)));
}

TEST_F(DispatcherTest, AStallIsSeenByAllThatWereDueInIt) {
  Make({.rate = 10, .duration = seconds(10)}, 1);
  End(0);
  Pass(milliseconds(100));
  ASSERT_EQ(begun(), 2);
  // The server stands still for a second; then it answers each at once.
  Pass(seconds(1));
  EXPECT_EQ(begun(), 2);
  for (int i = 0; i < 11; ++i) End(0);
  EXPECT_EQ(begun(), 12);
  EXPECT_EQ(figures().latency.count(), 12U);
  EXPECT_EQ(figures().latency.greatest(), seconds(1));
  // Due at 100, 200, ... 1100 ms, all answered at 1100 ms: half of them waited for half a second.
  EXPECT_GE(figures().latency.Quantile(0.5), milliseconds(398));
}

TEST_F(DispatcherTest, SeveralThreadsShareARateInTurns) {
  Make({.rate = 2, .first_due = milliseconds(250), .duration = seconds(1)}, 4);
  EXPECT_EQ(begun(), 0);
  EXPECT_EQ(wake_at_, TimePoint(milliseconds(250)));
  Pass(seconds(1));
  EXPECT_EQ(begun(), 2);
}

TEST_F(DispatcherTest, MeasuresAllOfItsTimeWhenTheLastIsDueBeforeTheEnd) {
  Make({.rate = 10, .duration = seconds(1)}, 1);
  for (int i = 0; i < 10; ++i) {
    End(0);
    Pass(milliseconds(100));
  }
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(figures().measured, seconds(1));
}

TEST_F(DispatcherTest, SendsNothingAfterItsTimeAndSaysHowMuchThatWas) {
  Make({.rate = 10, .warm_up = seconds(1), .duration = seconds(1)}, 1);
  Pass(seconds(2));
  End(0);
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(begun(), 1);
  EXPECT_EQ(figures().not_sent, 19U);
  EXPECT_EQ(figures().measured, seconds(1));
}

TEST_F(DispatcherTest, WhatWasLateAlreadyInTheWarmUpIsAsLateAfterIt) {
  Make({.rate = 10, .warm_up = seconds(1), .duration = seconds(1)}, 1);
  Pass(milliseconds(1500));
  End(0);
  End(0);
  dispatcher_->Stop();
  // That of the start was sent in the warm-up; the next was due at 100 ms.
  EXPECT_EQ(figures().succeeded(), 1U);
  EXPECT_EQ(figures().latency.greatest(), milliseconds(1400));
}

TEST_F(DispatcherTest, HasSentAllThatWasDueWhereThereWereLanes) {
  Make({.rate = 3, .duration = seconds(10)}, 40);
  Pass(seconds(11));
  EXPECT_EQ(begun(), 30);
  for (size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i]->begun > 0) End(i);
  }
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(figures().not_sent, 0U);
}

TEST_F(DispatcherTest, RatesThatNeverComeToTheSecondRequestAreTaken) {
  Make({.rate = 1e-300, .duration = hours(1)}, 1);
  EXPECT_EQ(begun(), 1);
  End(0);
  EXPECT_EQ(finished_, 1);
}

TEST_F(DispatcherTest, RatesThatNoCounterHoldsAreTaken) {
  Make({.rate = 1e300, .duration = seconds(1)}, 1);
  Pass(seconds(1));
  End(0);
  EXPECT_EQ(finished_, 1);
  EXPECT_GT(figures().not_sent, 900'000'000'000'000'000U);
}

TEST_F(DispatcherTest, CountsFailuresByTheirTextAndNotTheirLatency) {
  Make({.duration = seconds(10)}, 1);
  End(0, "500: no");
  End(0, "500: no");
  End(0);
  dispatcher_->Stop();
  EXPECT_EQ(figures().failed, 2U);
  EXPECT_EQ(figures().succeeded(), 1U);
  EXPECT_EQ(figures().latency.count(), 1U);
  EXPECT_EQ(figures().statuses.at(500), 2U);
  EXPECT_EQ(figures().failures.counts().at("500: no"), 2U);
  EXPECT_EQ(dispatcher_->progress().ended, 3U);
  EXPECT_EQ(dispatcher_->progress().failed, 2U);
}

TEST_F(DispatcherTest, TimesTheResponsesOfAnAnswerInParts) {
  Make({.duration = seconds(100)}, 1);
  for (const int pause : {7, 2, 3}) {
    clock_.Advance(seconds(pause));
    dispatcher_->Responded(*lanes_[0], clock_.Now());
  }
  End(0);
  dispatcher_->Stop();
  EXPECT_EQ(figures().first_response.greatest(), seconds(7));
  EXPECT_EQ(figures().between_responses.least(), seconds(2));
  EXPECT_EQ(figures().between_responses.greatest(), seconds(3));
  EXPECT_EQ(figures().responses, 3U);
}

TEST_F(DispatcherTest, AbortsWhatHasNoResponseForTooLong) {
  Make({.duration = seconds(100), .timeout = seconds(5)}, 2);
  clock_.Advance(seconds(4));
  dispatcher_->Responded(*lanes_[1], clock_.Now());
  clock_.Advance(seconds(1));
  dispatcher_->CheckTimeouts();
  EXPECT_EQ(lanes_[0]->aborted, "no answer within 5000 ms");
  EXPECT_EQ(lanes_[1]->aborted, "");
}

TEST_F(DispatcherTest, StopsAtOnceAndFinishesOnce) {
  Make({.duration = seconds(100)}, 2);
  clock_.Advance(seconds(2));
  dispatcher_->Fail("it has gone");
  dispatcher_->Stop();
  End(0, "closed");
  EXPECT_EQ(finished_, 1);
  EXPECT_EQ(begun(), 2);
  EXPECT_EQ(figures().fatal, "it has gone");
  EXPECT_EQ(figures().failed, 0U);
  EXPECT_EQ(figures().measured, seconds(2));
}

TEST(Failures, AreOfABoundedNumberOfKinds) {
  Failures failures;
  for (int i = 0; i < 1000; ++i) failures.Count(std::to_string(i));
  failures.Count("0");
  EXPECT_EQ(failures.counts().size(), 17U);
  EXPECT_EQ(failures.counts().at("0"), 2U);
  EXPECT_EQ(failures.counts().at("other errors"), 984U);
}

TEST(Figures, OfSeveralThreadsAreAdded) {
  Figures one{.finished_in_time = 2, .measured = seconds(3)};
  one.latency.Record(seconds(1));
  one.failures.Count("x");
  one.statuses[200] = 2;
  Figures other{.failed = 1, .measured = seconds(4), .fatal = "gone"};
  other.latency.Record(seconds(2));
  other.failures.Count("x");
  other.statuses[200] = 1;
  one.Add(other);
  EXPECT_EQ(one.succeeded(), 2U);
  EXPECT_EQ(one.statuses[200], 3U);
  EXPECT_EQ(one.failures.counts().at("x"), 2U);
  EXPECT_EQ(one.failed, 1U);
  EXPECT_EQ(one.measured, seconds(4));
  EXPECT_EQ(one.fatal, "gone");
}

}  // namespace
}  // namespace despina::load
