// A mutex for what takes some nanoseconds.
#pragma once

#include <mutex>

#include "base/pause.h"

namespace despina {

// Who finds it locked waits awake for a while: whoever holds it is about to let go of it, and to
// sleep and be woken takes two calls of the system and a hundred times as long.
class BriefMutex {
 public:
  void lock() {
    for (int i = 0; i < kTries; ++i) {
      if (mutex_.try_lock()) return;
      Pause();
    }
    // Its holder was stopped in between.
    mutex_.lock();
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  static constexpr int kTries = 64;

  std::mutex mutex_;
};

}  // namespace despina
