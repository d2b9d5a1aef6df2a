#include "base/clock.h"

namespace despina {
namespace {

class SystemClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  void WaitUntil(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                 TimePoint deadline) override {
    changed.wait_until(lock, deadline);
  }
};

}  // namespace

Clock& Clock::System() {
  static SystemClock clock;
  return clock;
}

void ManualClock::WaitUntil(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                            TimePoint deadline) {
  // Advance() does not know who waits. A short real wait stands in for being told: no outcome
  // depends on its length.
  if (Now() < deadline) changed.wait_for(lock, std::chrono::milliseconds(1));
}

}  // namespace despina
