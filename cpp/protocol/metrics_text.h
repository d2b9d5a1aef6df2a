// The metrics endpoint's text, in the exposition format of Prometheus.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "memory/allocator.h"
#include "protocol/stats_json.h"

namespace despina::protocol {

inline constexpr std::string_view kMetricsContentType = "text/plain; charset=utf-8";

// Names and labels are those of the protocol's reference server; durations in microseconds. Then
// what backends count.
std::string MetricsText(std::span<const NamedCounts> models,
                        const std::optional<AllocatorStatistics>& pool, MetricRegistry& custom);

}  // namespace despina::protocol
