// The statistics extension, as a protobuf message.
#pragma once

#include <span>
#include <string>

#include "protocol/statistics.h"

namespace despina::protocol {

// ModelStatisticsResponse, in the order given; durations in nanoseconds.
std::string StatisticsProto(std::span<const NamedCounts> models);

}  // namespace despina::protocol
