#include "base/gate.h"

namespace despina {

bool Gate::Enter() {
  uint64_t state = state_.load(std::memory_order_acquire);
  while ((state & kClosed) == 0) {
    if (state_.compare_exchange_weak(state, state + kOne, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void Gate::Leave() {
  uint64_t state = state_.load(std::memory_order_acquire);
  while ((state & kClosed) == 0) {
    if (state_.compare_exchange_weak(state, state - kOne, std::memory_order_acq_rel)) return;
  }
  // Under the mutex, so that who waits cannot see the gate empty, and destroy it, before this
  // thread is done with it.
  std::lock_guard lock(mutex_);
  if (state_.fetch_sub(kOne, std::memory_order_acq_rel) == (kOne | kClosed)) {
    emptied_.notify_all();
  }
}

void Gate::Close() {
  std::lock_guard lock(mutex_);
  state_.fetch_or(kClosed, std::memory_order_acq_rel);
  emptied_.notify_all();  // of who waits already, if nobody is inside
}

bool Gate::WaitUntilEmpty(Clock& clock, TimePoint deadline) {
  std::unique_lock lock(mutex_);
  while (state_.load(std::memory_order_acquire) != kClosed) {
    if (clock.Now() >= deadline) return false;
    clock.WaitUntil(emptied_, lock, deadline);
  }
  return true;
}

void Gate::WaitUntilEmpty() {
  std::unique_lock lock(mutex_);
  emptied_.wait(lock, [this] { return state_.load(std::memory_order_acquire) == kClosed; });
}

}  // namespace despina
