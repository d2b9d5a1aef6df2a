// The statistics extension.
#pragma once

#include <span>
#include <string>

#include "protocol/statistics.h"

namespace despina::protocol {

// {"model_stats":[...]}, in the order given; durations in nanoseconds.
std::string StatisticsJson(std::span<const NamedCounts> models);

}  // namespace despina::protocol
