// Calls a function at a time, as exactly as the system can: the loop's timers count milliseconds.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "net/loop.h"

namespace despina::net {

// The loop's thread only. The loop does not end while it is open.
class Alarm {
 public:
  // std::system_error when the system has no descriptors left.
  Alarm(Loop& loop, std::function<void()> rings);
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm() { Close(); }

  // Of the steady clock. Replaces what was set before, unless that has rung.
  void Set(TimePoint when);
  // It does not ring any more.
  void Close();

 private:
  class Bell;
  std::shared_ptr<Bell> bell_;
};

}  // namespace despina::net
