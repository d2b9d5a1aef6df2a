// A mutex for what takes some nanoseconds.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/pause.h"

namespace despina {

// Who finds it locked waits awake for a while: whoever holds it is about to let go of it, and to
// sleep and be woken takes two calls of the system and a hundred times as long.
//
// Its three states are those of the second mutex in Ulrich Drepper's "Futexes Are Tricky" (2011).
class BriefMutex {
 public:
  void lock() {
    for (int i = 0; i < kTries; ++i) {
      if (try_lock()) return;
      Pause();
    }
    // Its holder was stopped in between. Who gets it here cannot know whether others wait as well.
    while (state_.exchange(kWaitedFor, std::memory_order_acquire) != kFree) {
      state_.wait(kWaitedFor, std::memory_order_relaxed);
    }
  }
  bool try_lock() {
    int32_t state = kFree;
    return state_.compare_exchange_strong(state, kHeld, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  void unlock() {
    if (state_.exchange(kFree, std::memory_order_release) == kWaitedFor) state_.notify_one();
  }

 private:
  static constexpr int kTries = 64;
  static constexpr int32_t kFree = 0;
  static constexpr int32_t kHeld = 1;
  static constexpr int32_t kWaitedFor = 2;

  std::atomic<int32_t> state_{kFree};
};

}  // namespace despina
