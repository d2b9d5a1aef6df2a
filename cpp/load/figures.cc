#include "load/figures.h"

#include <algorithm>

namespace despina::load {
namespace {

constexpr size_t kKinds = 16;
constexpr std::string_view kOthers = "other errors";

}  // namespace

void Failures::Count(std::string_view text, uint64_t times) {
  auto found = counts_.find(text);
  if (found == counts_.end()) {
    found = counts_.emplace(counts_.size() < kKinds ? text : kOthers, 0).first;
  }
  found->second += times;
}

void Failures::Add(const Failures& other) {
  for (const auto& [text, times] : other.counts_) Count(text, times);
}

void Figures::Add(const Figures& other) {
  latency.Add(other.latency);
  first_response.Add(other.first_response);
  between_responses.Add(other.between_responses);
  failed += other.failed;
  not_sent += other.not_sent;
  responses += other.responses;
  for (const auto& [status, times] : other.statuses) statuses[status] += times;
  failures.Add(other.failures);
  finished_in_time += other.finished_in_time;
  measured = std::max(measured, other.measured);
  processor += other.processor;
  running += other.running;
  ended += other.ended;
  if (fatal.empty()) fatal = other.fatal;
}

}  // namespace despina::load
