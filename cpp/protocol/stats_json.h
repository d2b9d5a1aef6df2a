// The statistics extension.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/stats.h"

namespace despina::protocol {

// The counts of one model version, for statistics and metrics.
struct NamedCounts {
  std::string model;
  int64_t version = 1;
  ModelCounts counts;
};

// {"model_stats":[...]}, in the order given; durations in nanoseconds.
std::string StatisticsJson(std::span<const NamedCounts> models);

}  // namespace despina::protocol
