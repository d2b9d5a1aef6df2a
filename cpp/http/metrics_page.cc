#include "http/metrics_page.h"

namespace despina::http {

MetricsPage::MetricsPage(const MetricsOptions& options, Clock& clock) : options_(options.page) {
  if (options.host_load) host_load_.emplace(clock, options.interval);
}

Answer MetricsPage::Get(const Snapshot& snapshot, const Allocator& allocator) {
  protocol::ServerFigures server{.pool = allocator.statistics(), .host = std::nullopt};
  if (host_load_) server.host = host_load_->Read();
  Answer answer;
  answer.content_type = protocol::kMetricsContentType;
  answer.text = protocol::MetricsText(snapshot, options_, server, MetricRegistry::Process());
  return answer;
}

}  // namespace despina::http
