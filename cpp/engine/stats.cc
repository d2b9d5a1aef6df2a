#include "engine/stats.h"

#include <algorithm>
#include <chrono>
#include <mutex>

namespace despina {
namespace {

uint64_t MillisecondsSinceEpoch(Duration ago) {
  const auto then = std::chrono::system_clock::now().time_since_epoch() - ago;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(then).count());
}

std::unique_ptr<MetricSeries> Histogram(const std::vector<double>& bounds) {
  if (bounds.empty()) return nullptr;
  return std::make_unique<MetricSeries>(
      MetricFamily{.kind = MetricKind::kHistogram, .help = {}, .bounds = bounds});
}

}  // namespace

void ComputeMarks::Apply(ExecutionTimes& times, TimePoint started, TimePoint now) const {
  if (!starts && !ends) return;
  const auto clamped = [](Duration duration) { return std::max(Duration::zero(), duration); };
  if (starts) times.compute_input = clamped(*starts - started);
  if (ends) times.compute_output = clamped(now - *ends);
  times.compute_infer = clamped(now - started - times.compute_input - times.compute_output);
}

ModelStatistics::ModelStatistics(const MeasuringDefinition& measuring)
    : summaries_(measuring.summaries ? std::make_unique<LatencySummaries>() : nullptr),
      first_responses_(Histogram(measuring.first_response_bounds)) {}

void ModelStatistics::CountSuccess(TimePoint now, Duration whole, uint32_t rows,
                                   const ExecutionTimes& times) {
  std::lock_guard lock(mutex_);
  if (summaries_) summaries_->Observe(now, whole, times);
  counts_.success.Add(whole);
  counts_.queue.Add(times.queue);
  counts_.compute_input.Add(times.compute_input);
  counts_.compute_infer.Add(times.compute_infer);
  counts_.compute_output.Add(times.compute_output);
  counts_.inference_count += rows;
}

void ModelStatistics::CountFailure(Duration whole, FailureReason reason) {
  std::lock_guard lock(mutex_);
  counts_.fail.Add(whole);
  ++counts_.failures[static_cast<size_t>(reason)];
}

void ModelStatistics::CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success,
                                     TimePoint now) {
  std::lock_guard lock(mutex_);
  ++counts_.execution_count;
  last_execution_ = now;
  if (!any_success) return;
  BatchCounts& batch = counts_.batches[rows];
  batch.compute_input.Add(times.compute_input);
  batch.compute_infer.Add(times.compute_infer);
  batch.compute_output.Add(times.compute_output);
}

void ModelStatistics::CountResponse(uint32_t index, ResponseOutcome outcome, Duration infer,
                                    Duration output) {
  std::lock_guard lock(mutex_);
  const size_t place = std::min<size_t>(index, kMaxResponses - 1);
  if (counts_.responses.size() <= place) counts_.responses.resize(place + 1);
  ResponseCounts& counts = counts_.responses[place];
  switch (outcome) {
    case ResponseOutcome::kSuccess:
      counts.compute_infer.Add(infer);
      counts.compute_output.Add(output);
      return counts.success.Add(infer + output);
    case ResponseOutcome::kFail:
      counts.compute_infer.Add(infer);
      counts.compute_output.Add(output);
      return counts.fail.Add(infer + output);
    case ResponseOutcome::kEmpty:
      return counts.empty.Add(infer + output);
    case ResponseOutcome::kCancel:
      return counts.cancel.Add(infer + output);
  }
}

void ModelStatistics::CountFirstResponse(Duration after) {
  if (!first_responses_) return;
  first_responses_->Observe(std::chrono::duration<double, std::milli>(after).count());
}

std::optional<LatencyQuantiles> ModelStatistics::Quantiles(
    TimePoint now, std::span<const double> quantiles) const {
  if (!summaries_) return std::nullopt;
  std::lock_guard lock(mutex_);
  return summaries_->Quantiles(now, quantiles);
}

ModelCounts ModelStatistics::Read(TimePoint now) const {
  std::lock_guard lock(mutex_);
  ModelCounts counts = counts_;
  if (last_execution_) counts.last_inference_ms = MillisecondsSinceEpoch(now - *last_execution_);
  return counts;
}

}  // namespace despina
