// What waits to be compressed.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "net/loop.h"

namespace despina::frontend {

// Of one loop. What is large is compressed in parts, so that in each turn of the loop other
// connections wait for a part at most. The loop's thread only.
class CompressionQueue {
 public:
  class Job {
   public:
    virtual ~Job() = default;
    // Compresses up to `most` bytes more and takes them off it. True when the job is done, also
    // because nobody waits for it any more; otherwise `most` is 0.
    virtual bool Continue(size_t& most) = 0;
  };

  explicit CompressionQueue(net::Loop& loop);

  // Begins the job, now where this turn has something left for it.
  void Start(std::unique_ptr<Job> job);

 private:
  void BeginTurn();
  void Work();

  std::deque<std::unique_ptr<Job>> jobs_;
  // Bytes that may be compressed before the turn ends.
  size_t left_;
  net::EndOfTurn end_of_turn_;
};

}  // namespace despina::frontend
