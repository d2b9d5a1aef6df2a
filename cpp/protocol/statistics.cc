#include "protocol/statistics.h"

#include <memory>

#include "base/text.h"
#include "engine/model.h"

namespace despina::protocol {
namespace {

NamedCounts CountsOf(const Model& model) {
  return {model.definition().name, model.definition().version, model.Counts()};
}

}  // namespace

std::array<NamedDuration, 8> InferDurations(const ModelCounts& counts) {
  // There is no response cache yet: clients get its counts all the same, as zeros.
  return {{{"success", counts.success},
           {"fail", counts.fail},
           {"queue", counts.queue},
           {"compute_input", counts.compute_input},
           {"compute_infer", counts.compute_infer},
           {"compute_output", counts.compute_output},
           {"cache_hit", {}},
           {"cache_miss", {}}}};
}

std::array<NamedDuration, 6> ResponseDurations(const ResponseCounts& counts) {
  return {{{"compute_infer", counts.compute_infer},
           {"compute_output", counts.compute_output},
           {"success", counts.success},
           {"fail", counts.fail},
           {"empty_response", counts.empty},
           {"cancel", counts.cancel}}};
}

std::array<NamedDuration, 3> BatchDurations(const BatchCounts& counts) {
  return {{{"compute_input", counts.compute_input},
           {"compute_infer", counts.compute_infer},
           {"compute_output", counts.compute_output}}};
}

std::vector<NamedCounts> AllStatistics(const Snapshot& snapshot) {
  std::vector<NamedCounts> counts;
  counts.reserve(snapshot.serving.size());
  for (const auto& model : snapshot.serving) counts.push_back(CountsOf(*model));
  return counts;
}

Result<std::vector<NamedCounts>> ModelStatistics(const Snapshot& snapshot, std::string_view model,
                                                 std::optional<int64_t> version) {
  const auto entry = snapshot.models.find(model);
  if (entry == snapshot.models.end() || entry->second.versions.empty()) {
    return InvalidArgument(Concat("requested model '", model, "' is not available"));
  }
  std::vector<NamedCounts> counts;
  for (const auto& [number, each] : entry->second.versions) {
    if (!version || *version == number) counts.push_back(CountsOf(*each));
  }
  if (counts.empty()) {
    return InvalidArgument(
        Concat("requested model version is not available for model '", model, "'"));
  }
  return counts;
}

}  // namespace despina::protocol
