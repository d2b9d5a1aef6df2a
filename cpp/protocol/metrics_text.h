// The metrics endpoint's text, in the exposition format of Prometheus.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/host_load.h"
#include "base/metrics.h"
#include "engine/snapshot.h"
#include "memory/allocator.h"

namespace despina::protocol {

inline constexpr std::string_view kMetricsContentType = "text/plain; charset=utf-8";

// What the operator wants on the page.
struct MetricsOptions {
  // The sums of the parts of requests' times.
  bool counter_latencies = true;
  // Of the summaries of models that have them; from 0 to 1.
  std::vector<double> quantiles{};
};

// What is the whole server's; nothing is left out.
struct ServerFigures {
  std::optional<AllocatorStatistics> pool;
  std::optional<HostLoad> host;
};

// Names and labels are those of the protocol's reference server. Then what backends count.
std::string MetricsText(const Snapshot& snapshot, const MetricsOptions& options,
                        const ServerFigures& server, MetricRegistry& custom);

}  // namespace despina::protocol
