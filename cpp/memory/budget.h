// A bound on something that clients can make the server hold.
#pragma once

#include <atomic>
#include <cstdint>

namespace despina {

// Any thread. Never over the limit, not for a moment: a refusal does not make others fail.
class Budget {
 public:
  explicit Budget(uint64_t limit) : limit_(limit) {}

  // False, and nothing taken, when `amount` more would be over the limit.
  bool TryTake(uint64_t amount) {
    uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      if (amount > limit_ - used) return false;
    } while (!used_.compare_exchange_weak(used, used + amount, std::memory_order_relaxed));
    return true;
  }
  void Give(uint64_t amount) { used_.fetch_sub(amount, std::memory_order_relaxed); }

  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t limit() const { return limit_; }

 private:
  const uint64_t limit_;
  std::atomic<uint64_t> used_{0};
};

}  // namespace despina
