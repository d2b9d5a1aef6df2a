// A bound on something that clients can make the server hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

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

// What one holder has taken of a budget, which outlives it. Given back when it is destroyed.
class Charge {
 public:
  Charge() = default;
  explicit Charge(Budget& budget) : budget_(&budget) {}
  Charge(Charge&& other) noexcept
      : budget_(other.budget_), amount_(std::exchange(other.amount_, 0)) {}
  Charge& operator=(Charge other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(amount_, other.amount_);
    return *this;
  }
  ~Charge() { Release(); }

  uint64_t amount() const { return amount_; }
  // Precondition of what follows: there is a budget. False, and nothing changed, when it is spent.
  bool RaiseTo(uint64_t amount) {
    if (amount <= amount_) return true;
    if (!budget_->TryTake(amount - amount_)) return false;
    amount_ = amount;
    return true;
  }
  const Budget& budget() const { return *budget_; }
  void Release() {
    if (amount_ > 0) budget_->Give(std::exchange(amount_, 0));
  }

 private:
  Budget* budget_ = nullptr;
  uint64_t amount_ = 0;
};

}  // namespace despina
