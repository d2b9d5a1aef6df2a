// Whether a client whose turn it is does nothing.
#pragma once

#include <cstdint>

namespace despina::grpc {

// Of one direction. It is looked at in intervals, so that no clock is read when bytes come or go: a
// stall is seen an interval later at most.
class Stall {
 public:
  // Of what a client sends: in each interval as many bytes as HTTP wants, so that a trickle does
  // not hold memory for ever.
  static Stall OfSender() { return {uint64_t{64} << 10, 1}; }
  // Of what it takes: anything at all in five. Libraries give room in lumps of half a window, and
  // for one who reads slowly minutes lie between two of them.
  static Stall OfReader() { return {1, 5}; }

  // Bytes came, or were taken.
  void OnProgress(uint64_t bytes) { progress_ += bytes; }
  // What it had begun is complete.
  void OnComplete() { progress_ += enough_; }

  // `its_turn`: something is waited for. True when that has been so, and too little has come, for
  // as many intervals as there may be.
  bool Look(bool its_turn) {
    const bool idle = its_turn && was_its_turn_ && progress_ - seen_ < enough_;
    intervals_ = idle ? intervals_ + 1 : 0;
    Skip(its_turn);
    return intervals_ >= most_intervals_;
  }
  // In place of a look that cannot tell.
  void Skip(bool its_turn) {
    was_its_turn_ = its_turn;
    seen_ = progress_;
  }

 private:
  Stall(uint64_t enough, unsigned most_intervals)
      : enough_(enough), most_intervals_(most_intervals) {}

  uint64_t enough_;
  unsigned most_intervals_;
  uint64_t progress_ = 0;
  // At the last look.
  uint64_t seen_ = 0;
  bool was_its_turn_ = false;
  // In which nothing came.
  unsigned intervals_ = 0;
};

}  // namespace despina::grpc
