// Which statistics a request is answered with, over HTTP and over gRPC.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/snapshot.h"
#include "engine/stats.h"

namespace despina::protocol {

// The counts of one model version, for statistics and metrics.
struct NamedCounts {
  std::string model;
  int64_t version = 1;
  ModelCounts counts;
};

struct NamedDuration {
  std::string_view name;
  DurationCount value;
};

// The fields of the protocol's InferStatistics, InferResponseStatistics and, behind its batch_size,
// InferBatchStatistics, in the order of their numbers.
std::array<NamedDuration, 8> InferDurations(const ModelCounts& counts);
std::array<NamedDuration, 6> ResponseDurations(const ResponseCounts& counts);
std::array<NamedDuration, 3> BatchDurations(const BatchCounts& counts);

// Of all models that take requests.
std::vector<NamedCounts> AllStatistics(const Snapshot& snapshot);

// Of one version of a model, or of all of its versions. INVALID_ARGUMENT, as the protocol has it,
// when there is none that takes requests.
Result<std::vector<NamedCounts>> ModelStatistics(const Snapshot& snapshot, std::string_view model,
                                                 std::optional<int64_t> version);

}  // namespace despina::protocol
