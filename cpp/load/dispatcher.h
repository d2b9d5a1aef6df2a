// Decides when which lane sends its next request, and counts what becomes of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "load/figures.h"

namespace despina::load {

struct Plan {
  // Requests a second, sent at fixed times. Nothing: each lane sends the next when it has the
  // answer to the last.
  std::optional<double> rate{};
  // Of the first request, from the start: threads that share a rate take turns.
  Duration first_due{};
  // What is sent in this time is not counted.
  Duration warm_up{};
  // What is sent in the time after it is. Requests that are under way at the end are waited for;
  // those that were due and could not be sent until then are not sent.
  Duration duration = Duration::max();
  // Counted requests at most.
  uint64_t requests = UINT64_MAX;
  // For each response.
  Duration timeout = std::chrono::seconds(60);
};

// One request under way at a time.
class Lane {
 public:
  virtual ~Lane() = default;
  // Sends a request. The dispatcher is told its end, and that the lane is ready again; the latter
  // not from within this call.
  virtual void Begin() = 0;
  // Gives it up: its end is told, perhaps later, with this text.
  virtual void Abort(std::string_view why) = 0;
  // The dispatcher has finished: whatever is under way is given up, and told to nobody.
  virtual void Close() = 0;

 private:
  friend class Dispatcher;

  bool busy_ = false;
  bool counted_ = false;
  uint64_t responses_ = 0;
  // Among those that are busy.
  size_t place_ = 0;
  TimePoint due_{};
  TimePoint last_response_{};
};

// What became of a request.
struct Outcome {
  TimePoint end{};
  // Of HTTP or of gRPC; none: there was no whole answer.
  std::optional<int> status{};
  // Empty: it succeeded.
  std::string_view failure;
};

// Latency counts from when a request was due, not from when it could be sent: with a rate, what a
// server that stands still for a second keeps from being sent is as late as it is for real clients
// (G. Tene: coordinated omission). One thread, which is that of its lanes.
class Dispatcher {
 public:
  struct Progress {
    std::atomic<uint64_t> ended{0};
    std::atomic<uint64_t> failed{0};
  };

  // `wake_at` asks for Wake() at a time; a later call replaces an earlier one. `finished` is called
  // once, perhaps from within any function here.
  Dispatcher(const Plan& plan, Clock& clock, std::function<void(TimePoint)> wake_at,
             std::function<void()> finished);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Times count from here.
  void Start();
  void Wake();
  // The lane has nothing under way. Lanes outlive the dispatcher's last call.
  void Ready(Lane& lane);
  // One response of several. Nothing is between two that come together.
  void Responded(Lane& lane, TimePoint when);
  void Ended(Lane& lane, const Outcome& outcome);
  // Aborts what has waited for too long.
  void CheckTimeouts();
  // Begins no more, and waits for nothing.
  void Stop();
  // The same, since it cannot go on.
  void Fail(std::string why);

  bool finished() const { return finished_; }
  // Complete once it is finished.
  const Figures& figures() const { return figures_; }
  // Of all requests. Any thread.
  const Progress& progress() const { return progress_; }

 private:
  // Whatever can be sent now.
  void BeginRequests(TimePoint now);
  bool IsOver(TimePoint due) const;
  // With a rate: how many were due until then and had no lane to be sent by.
  uint64_t NotSent(TimePoint end) const;
  TimePoint DueOfNext(TimePoint now) const;
  void Begin(Lane& lane, TimePoint due, TimePoint now);
  void Count(const Lane& lane, const Outcome& outcome);
  void Finish(TimePoint now);

  const Plan plan_;
  Clock& clock_;
  const std::function<void(TimePoint)> wake_at_;
  const std::function<void()> when_finished_;
  bool started_ = false;
  TimePoint start_{};
  TimePoint counted_from_{};
  TimePoint counted_until_{};
  TimePoint woken_at_ = TimePoint::max();
  uint64_t begun_ = 0;
  uint64_t begun_counted_ = 0;
  // No more are begun: the next would have been due then.
  bool over_ = false;
  TimePoint over_at_{};
  bool finished_ = false;
  std::vector<Lane*> idle_;
  std::vector<Lane*> busy_;
  Figures figures_;
  Progress progress_;
};

}  // namespace despina::load
