#include "engine/stats.h"

#include <algorithm>
#include <chrono>

namespace despina {
namespace {

uint64_t MillisecondsSinceEpoch(Duration ago) {
  const auto then = std::chrono::system_clock::now().time_since_epoch() - ago;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(then).count());
}

}  // namespace

void ComputeMarks::Apply(ExecutionTimes& times, TimePoint started, TimePoint now) const {
  if (!starts && !ends) return;
  const auto clamped = [](Duration duration) { return std::max(Duration::zero(), duration); };
  if (starts) times.compute_input = clamped(*starts - started);
  if (ends) times.compute_output = clamped(now - *ends);
  times.compute_infer = clamped(now - started - times.compute_input - times.compute_output);
}

void ModelStatistics::CountSuccess(Duration whole, uint32_t rows, const ExecutionTimes& times) {
  std::lock_guard lock(mutex_);
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

ModelCounts ModelStatistics::Read(TimePoint now) const {
  std::lock_guard lock(mutex_);
  ModelCounts counts = counts_;
  if (last_execution_) counts.last_inference_ms = MillisecondsSinceEpoch(now - *last_execution_);
  return counts;
}

}  // namespace despina
