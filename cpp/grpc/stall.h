// Whether a client whose turn it is does nothing.
#pragma once

#include <cstdint>

namespace despina::grpc {

// Of one direction. It is looked at in intervals, so that no clock is read when bytes come or go: a
// stall is seen after one interval at least and two at most.
class Stall {
 public:
  // Bytes came, or were taken.
  void OnProgress(uint64_t bytes) { progress_ += bytes; }
  // What it had begun is complete.
  void OnComplete() { progress_ += kEnough; }

  // `its_turn`: something is waited for. True when that was so at the last look, and nothing but a
  // trickle has come since.
  bool Look(bool its_turn) {
    const bool stalled = its_turn && was_its_turn_ && progress_ - seen_ < kEnough;
    was_its_turn_ = its_turn;
    seen_ = progress_;
    return stalled;
  }

 private:
  // In an interval. As HTTP has it.
  static constexpr uint64_t kEnough = uint64_t{64} << 10;

  uint64_t progress_ = 0;
  // At the last look.
  uint64_t seen_ = 0;
  bool was_its_turn_ = false;
};

}  // namespace despina::grpc
