// Counts those who are inside something that will be taken down.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/clock.h"

namespace despina {

// Whoever uses an object that can be unloaded enters its gate first. Closing it turns newcomers
// away; once it is empty the object can go. All functions may be called on any thread.
class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // False when the gate is closed; then there is nothing to leave.
  bool Enter();
  // The gate may be destroyed as soon as the last one has left and WaitUntilEmpty returned.
  void Leave();

  void Close();
  // Waits until the gate is closed and empty. False at `deadline`.
  bool WaitUntilEmpty(Clock& clock, TimePoint deadline);
  void WaitUntilEmpty();

  bool closed() const { return (state_.load(std::memory_order_acquire) & kClosed) != 0; }
  uint64_t inside() const { return state_.load(std::memory_order_acquire) / kOne; }

 private:
  static constexpr uint64_t kClosed = 1;
  static constexpr uint64_t kOne = 2;

  std::atomic<uint64_t> state_{0};
  // Taken only once the gate is closed.
  std::mutex mutex_;
  std::condition_variable emptied_;
};

}  // namespace despina
