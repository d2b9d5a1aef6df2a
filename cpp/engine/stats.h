// Counts of one model version.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/brief_mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "engine/execution_times.h"
#include "engine/summary.h"

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

// Of the responses of one place in the answers of a decoupled model.
struct ResponseCounts {
  // From the response before, or the start of the execution, until its first output was there; and
  // from there until it was sent.
  DurationCount compute_infer;
  DurationCount compute_output;
  DurationCount success;
  DurationCount fail;
  // Answers that ended without a response.
  DurationCount empty;
  DurationCount cancel;
};
enum class ResponseOutcome : uint8_t { kSuccess, kFail, kEmpty, kCancel };

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
  // Of a decoupled model, by the response's place in its answer.
  std::vector<ResponseCounts> responses;
  // Accepted and not yet handed to the backend.
  uint64_t pending = 0;
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

// What is measured of a model's requests besides what always is.
struct MeasuringDefinition {
  // Quantiles of their times.
  bool summaries = false;
  // Upper bounds, in milliseconds, of the histogram of times to the first response; empty: none.
  std::vector<double> first_response_bounds;
};

// Any thread. The counts of one request are whole for a reader, and so are those of one execution.
// Between the two, a reader may see a request whose execution is not counted yet.
class ModelStatistics {
 public:
  // Responses behind so many of one answer are counted with the last of them.
  static constexpr size_t kMaxResponses = 1024;

  explicit ModelStatistics(const MeasuringDefinition& measuring = {});

  void CountSuccess(TimePoint now, Duration whole, uint32_t rows, const ExecutionTimes& times);
  void CountFailure(Duration whole, FailureReason reason);
  void CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success, TimePoint now);

  // One response of a decoupled model, in its place: how long it took until its first output and
  // from there until it was sent.
  void CountResponse(uint32_t index, ResponseOutcome outcome, Duration infer, Duration output);
  // The first response of a request came so long after the request.
  void CountFirstResponse(Duration after);

  // `pending` is filled in by the model.
  ModelCounts Read(TimePoint now) const;
  // In microseconds; nothing unless they are measured.
  std::optional<LatencyQuantiles> Quantiles(TimePoint now, std::span<const double> quantiles) const;
  // In milliseconds; null unless they are measured.
  const MetricSeries* first_responses() const { return first_responses_.get(); }

 private:
  mutable BriefMutex mutex_;
  // Guarded by mutex_; the last execution is told in the calendar's time when it is read.
  ModelCounts counts_;
  std::optional<TimePoint> last_execution_;
  const std::unique_ptr<LatencySummaries> summaries_;
  // Takes no lock.
  const std::unique_ptr<MetricSeries> first_responses_;
};

}  // namespace despina
