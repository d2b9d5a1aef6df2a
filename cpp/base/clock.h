// Time as a parameter: whatever waits or measures is given a clock.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace despina {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// `from` + `by`, or the end of time: what configurations and callers ask for may be any number.
// Precondition: neither is negative.
constexpr TimePoint Later(TimePoint from, Duration by) {
  return by > TimePoint::max() - from ? TimePoint::max() : from + by;
}

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;

  // Waits on `changed` until it is notified, until `deadline`, or for no reason: the caller loops.
  // `lock` is held on entry and on return.
  virtual void WaitUntil(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                         TimePoint deadline) = 0;

  // The steady clock of the machine.
  static Clock& System();
};

// A clock that stands still until a test moves it.
class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_.load())); }
  void WaitUntil(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                 TimePoint deadline) override;
  void Advance(Duration by) { now_.fetch_add(by.count()); }

 private:
  std::atomic<Duration::rep> now_{0};
};

}  // namespace despina
