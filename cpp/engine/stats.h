// Counts of one model version.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace despina {

enum class FailureReason : uint8_t { kRejected, kCanceled, kBackend, kOther };
inline constexpr size_t kFailureReasons = 4;

struct DurationCount {
  uint64_t count = 0;
  uint64_t nanoseconds = 0;

  void Add(Duration duration, uint64_t times = 1) {
    count += times;
    nanoseconds += static_cast<uint64_t>(duration.count()) * times;
  }
};

struct BatchCounts {
  DurationCount compute_input;
  DurationCount compute_infer;
  DurationCount compute_output;
};

struct ModelCounts {
  // Whole requests, from their arrival to their answer.
  DurationCount success;
  DurationCount fail;
  // Of the successful ones, one entry each.
  DurationCount queue;
  DurationCount compute_input;
  DurationCount compute_infer;
  DurationCount compute_output;
  // Rows of successful requests; executions, also those that failed.
  uint64_t inference_count = 0;
  uint64_t execution_count = 0;
  std::array<uint64_t, kFailureReasons> failures{};
  // Milliseconds since the epoch; 0: never.
  uint64_t last_inference_ms = 0;
  // By rows of an execution.
  std::map<uint32_t, BatchCounts> batches;
  // Accepted and not yet handed to the backend.
  uint64_t pending = 0;
};

// How long the parts of one execution took.
struct ExecutionTimes {
  Duration queue{0};
  Duration compute_input{0};
  Duration compute_infer{0};
  Duration compute_output{0};
};

// Where an execution is with the model's own work, if its backend says so.
enum class ComputeMark : uint8_t { kStarts, kEnds };
struct ComputeMarks {
  std::optional<TimePoint> starts;
  std::optional<TimePoint> ends;

  void Set(ComputeMark mark, TimePoint now) {
    (mark == ComputeMark::kStarts ? starts : ends) = now;
  }
  // What came before the start counts as input, what comes after the end as output.
  void Apply(ExecutionTimes& times, TimePoint started, TimePoint now) const;
};

// Any thread. The counts of one request are whole for a reader, and so are those of one execution.
// Between the two, a reader may see a request whose execution is not counted yet.
class ModelStatistics {
 public:
  void CountSuccess(Duration whole, uint32_t rows, const ExecutionTimes& times);
  void CountFailure(Duration whole, FailureReason reason);
  void CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success, TimePoint now);

  // `pending` is filled in by the model.
  ModelCounts Read(TimePoint now) const;

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_; the last execution is told in the calendar's time when it is read.
  ModelCounts counts_;
  std::optional<TimePoint> last_execution_;
};

}  // namespace despina
