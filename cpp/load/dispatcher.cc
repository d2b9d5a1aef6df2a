#include "load/dispatcher.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"

namespace despina::load {
namespace {

// With one writer no atomic addition is needed.
void Increment(std::atomic<uint64_t>& count) {
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

Dispatcher::Dispatcher(const Plan& plan, Clock& clock, std::function<void(TimePoint)> wake_at,
                       std::function<void()> finished)
    : plan_(plan),
      clock_(clock),
      wake_at_(std::move(wake_at)),
      when_finished_(std::move(finished)) {}

void Dispatcher::Start() {
  started_ = true;
  start_ = clock_.Now();
  counted_from_ = Later(start_, plan_.warm_up);
  counted_until_ = Later(counted_from_, plan_.duration);
  BeginRequests(start_);
}

void Dispatcher::Wake() {
  woken_at_ = TimePoint::max();
  BeginRequests(clock_.Now());
}

void Dispatcher::Ready(Lane& lane) {
  idle_.push_back(&lane);
  if (started_) BeginRequests(clock_.Now());
}

void Dispatcher::BeginRequests(TimePoint now) {
  while (!over_ && !idle_.empty()) {
    const TimePoint due = DueOfNext(now);
    if (IsOver(due) || now >= counted_until_) {
      over_ = true;
      over_at_ = due;
      break;
    }
    if (due > now) {
      if (due != std::exchange(woken_at_, due)) wake_at_(due);
      return;
    }
    // The one that was used last: no more lanes are used than the load needs.
    Lane& lane = *idle_.back();
    idle_.pop_back();
    Begin(lane, due, now);
  }
  if (over_ && busy_.empty()) Finish(now);
}

uint64_t Dispatcher::NotSent(TimePoint end) const {
  if (!plan_.rate || begun_counted_ == plan_.requests) return 0;
  const Duration passed = end - Later(start_, plan_.first_due);
  // Rates may be any number.
  constexpr double kMost = 1e18;
  const double due =
      std::min(std::ceil(static_cast<double>(passed.count()) * *plan_.rate / 1e9), kMost);
  return due > static_cast<double>(begun_) ? static_cast<uint64_t>(due) - begun_ : 0;
}

TimePoint Dispatcher::DueOfNext(TimePoint now) const {
  if (!plan_.rate) return now;
  // From the start each time: sums of rounded intervals would drift.
  const double after = static_cast<double>(begun_) * 1e9 / *plan_.rate;
  constexpr double kNever = 9e18;
  if (after >= kNever) return TimePoint::max();
  return Later(Later(start_, plan_.first_due), Duration(static_cast<int64_t>(after)));
}

bool Dispatcher::IsOver(TimePoint due) const {
  return due >= counted_until_ || begun_counted_ == plan_.requests;
}

void Dispatcher::Begin(Lane& lane, TimePoint due, TimePoint now) {
  ++begun_;
  lane.busy_ = true;
  lane.counted_ = now >= counted_from_;
  if (lane.counted_) ++begun_counted_;
  lane.responses_ = 0;
  lane.due_ = due;
  lane.last_response_ = now;
  lane.place_ = busy_.size();
  busy_.push_back(&lane);
  lane.Begin();
}

void Dispatcher::Responded(Lane& lane, TimePoint when) {
  if (!lane.busy_) return;
  if (lane.counted_) {
    if (lane.responses_ == 0) {
      figures_.first_response.Record(when - lane.due_);
    } else {
      figures_.between_responses.Record(when - lane.last_response_);
    }
  }
  ++lane.responses_;
  lane.last_response_ = when;
}

void Dispatcher::Ended(Lane& lane, const Outcome& outcome) {
  if (!std::exchange(lane.busy_, false)) return;
  busy_[lane.place_] = busy_.back();
  busy_[lane.place_]->place_ = lane.place_;
  busy_.pop_back();
  Increment(progress_.ended);
  if (!outcome.failure.empty()) Increment(progress_.failed);
  if (finished_) return;
  Count(lane, outcome);
  if (over_ && busy_.empty()) Finish(outcome.end);
}

void Dispatcher::Count(const Lane& lane, const Outcome& outcome) {
  const bool succeeded = outcome.failure.empty();
  if (succeeded && outcome.end >= counted_from_ && outcome.end < counted_until_) {
    ++figures_.finished_in_time;
  }
  if (!lane.counted_) return;
  if (outcome.status) ++figures_.statuses[*outcome.status];
  if (!succeeded) {
    ++figures_.failed;
    figures_.failures.Count(outcome.failure);
    return;
  }
  figures_.responses += lane.responses_;
  figures_.latency.Record(outcome.end - lane.due_);
}

void Dispatcher::CheckTimeouts() {
  const TimePoint now = clock_.Now();
  const std::vector<Lane*> busy = busy_;
  for (Lane* lane : busy) {
    if (!lane->busy_ || now - lane->last_response_ < plan_.timeout) continue;
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(plan_.timeout).count();
    lane->Abort(Concat("no answer within ", milliseconds, " ms"));
  }
}

void Dispatcher::Stop() {
  over_ = true;
  Finish(clock_.Now());
}

void Dispatcher::Fail(std::string why) {
  if (figures_.fatal.empty()) figures_.fatal = std::move(why);
  Stop();
}

void Dispatcher::Finish(TimePoint now) {
  if (std::exchange(finished_, true)) return;
  const TimePoint end = std::min(std::max(now, over_at_), counted_until_);
  figures_.measured = std::max(end - counted_from_, Duration());
  figures_.not_sent = NotSent(end);
  when_finished_();
}

}  // namespace despina::load
