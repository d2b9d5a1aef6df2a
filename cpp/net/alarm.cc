#include "net/alarm.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace despina::net {
namespace {

Descriptor MakeTimer() {
  // The clock that std::chrono::steady_clock reads.
  Descriptor made(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!made) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  return made;
}

}  // namespace

class Alarm::Bell final : public Watcher, public std::enable_shared_from_this<Bell> {
 public:
  Bell(Loop& loop, std::function<void()> rings)
      : watch_(loop, MakeTimer()), rings_(std::move(rings)) {}

  void Start() { watch_.WaitReadable(shared_from_this()); }

  void Set(TimePoint when) {
    if (!watch_.open()) return;
    // Zero would stop it.
    const Duration since = std::max(when.time_since_epoch(), Duration(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
    const itimerspec time{.it_interval = {},
                          .it_value = {.tv_sec = static_cast<time_t>(seconds.count()),
                                       .tv_nsec = static_cast<long>((since - seconds).count())}};
    ::timerfd_settime(watch_.descriptor(), TFD_TIMER_ABSTIME, &time, nullptr);
  }

  void Close() { watch_.Close(); }

 private:
  void OnReadable() override {
    uint64_t times = 0;
    const bool rung = ::read(watch_.descriptor(), &times, sizeof times) > 0;
    Start();
    if (rung) rings_();
  }
  void OnWritable() override {}

  Watch watch_;
  std::function<void()> rings_;
};

Alarm::Alarm(Loop& loop, std::function<void()> rings)
    : bell_(std::make_shared<Bell>(loop, std::move(rings))) {
  bell_->Start();
}

void Alarm::Set(TimePoint when) { bell_->Set(when); }

void Alarm::Close() { bell_->Close(); }

}  // namespace despina::net
