// Whether it pays to look once more before going to sleep.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/pause.h"

namespace despina {

// A thread that sleeps over an empty queue is woken by a call of the system and, on another core,
// an interrupt: several microseconds, for both sides. What comes within about two is cheaper waited
// for awake. So a look is worth while as long as looks find something; after some in vain only
// every so often one is tried. Not for several threads at a time.
class Patience {
 public:
  bool Worthwhile() {
    if (left_ > 0) return true;
    if (++skipped_ < kSkips) return false;
    skipped_ = 0;
    return true;
  }
  // What came of a look.
  void Learn(bool found) { left_ = found ? kVain : left_ - (left_ > 0 ? 1 : 0); }

  // Waits awake, two microseconds or so, for another thread to set the flag.
  static void Look(const std::atomic<bool>& flag) {
    for (int i = 0; i < kPauses && !flag.load(std::memory_order_relaxed); ++i) Pause();
  }

  // Looks in vain until it is given up, and waits without a look until it is tried again.
  static constexpr uint32_t kVain = 4;
  static constexpr uint32_t kSkips = 64;

 private:
  static constexpr int kPauses = 64;

  uint32_t left_ = kVain;
  uint32_t skipped_ = 0;
};

}  // namespace despina
