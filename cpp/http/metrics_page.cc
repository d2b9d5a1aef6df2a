#include "http/metrics_page.h"

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace despina::http {
namespace {

// By name and version.
std::vector<std::shared_ptr<Model>> ModelsOf(const Snapshot& snapshot) {
  std::vector<std::shared_ptr<Model>> models;
  for (const auto& [name, entry] : snapshot.models) {
    for (const auto& [number, model] : entry.versions) models.push_back(model);
  }
  std::ranges::sort(models, {}, [](const std::shared_ptr<Model>& model) {
    return std::tie(model->definition().name, model->definition().version);
  });
  return models;
}

}  // namespace

MetricsPage::MetricsPage(const MetricsOptions& options, Clock& clock) : options_(options.page) {
  if (options.host_load) host_load_.emplace(clock, options.interval);
}

Answer MetricsPage::Get(const Snapshot& snapshot, const Allocator& allocator) {
  protocol::ServerFigures server{.pool = allocator.statistics(), .host = std::nullopt};
  if (host_load_) server.host = host_load_->Read();
  Answer answer;
  answer.content_type = protocol::kMetricsContentType;
  answer.text =
      protocol::MetricsText(ModelsOf(snapshot), options_, server, MetricRegistry::Process());
  return answer;
}

}  // namespace despina::http
