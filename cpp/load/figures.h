// What was counted of a load.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "load/histogram.h"

namespace despina::load {

// How often what went wrong. Bounded: servers may put anything into their texts.
class Failures {
 public:
  void Count(std::string_view text, uint64_t times = 1);
  void Add(const Failures& other);
  const std::map<std::string, uint64_t, std::less<>>& counts() const { return counts_; }

 private:
  std::map<std::string, uint64_t, std::less<>> counts_;
};

// Of the measured requests: those that were sent after the warm-up.
struct Figures {
  // Of those that succeeded, from when they were due to the end of the answer.
  Histogram latency{};
  // Of answers in parts: from due to the first, and from one to the next.
  Histogram first_response{};
  Histogram between_responses{};
  uint64_t failed = 0;
  // With a rate: those that were due and had no lane to be sent by until the end.
  uint64_t not_sent = 0;
  // Parts of the answers that succeeded.
  uint64_t responses = 0;
  // Answers by status code, of HTTP or of gRPC.
  std::map<int, uint64_t> statuses{};
  Failures failures{};
  // What succeeded within the measured time, whenever it was due, and how long that time was.
  uint64_t finished_in_time = 0;
  Duration measured{};
  // Processor time of the threads that sent, and for how long they ran, warm-up included.
  Duration processor{};
  Duration running{};
  // Requests that ended in that time.
  uint64_t ended = 0;
  // Why the load ended before its time; empty: it did not.
  std::string fatal{};

  uint64_t succeeded() const { return latency.count(); }
  // What another thread has counted at the same time.
  void Add(const Figures& other);
};

}  // namespace despina::load
