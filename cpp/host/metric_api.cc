#include "host/metric_api.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/text.h"
#include "host/calling.h"
#include "host/translate.h"

namespace despina::host {
namespace {

std::optional<MetricKind> KindOf(int32_t kind) {
  switch (kind) {
    case DESPINA_METRIC_COUNTER:
      return MetricKind::kCounter;
    case DESPINA_METRIC_GAUGE:
      return MetricKind::kGauge;
    case DESPINA_METRIC_HISTOGRAM:
      return MetricKind::kHistogram;
    default:
      return std::nullopt;
  }
}

Result<std::shared_ptr<MetricSeries>> Make(ModelMetrics& metrics, const despina_metric_spec& spec) {
  const std::string name(View(spec.name));
  const auto refused = [&](const auto&... why) {
    return InvalidArgument(Concat("metric '", name, "' ", why...));
  };
  const std::optional<MetricKind> kind = KindOf(spec.kind);
  if (!kind) return refused("is of kind ", spec.kind, ", which there is not");
  // Before anything is made of them: a stray count is no allocation.
  if (spec.label_count > kMaxMetricLabels || (spec.label_count > 0 && spec.labels == nullptr)) {
    return refused("has ", spec.label_count, " labels, at most ", kMaxMetricLabels,
                   " are possible");
  }
  if (spec.bound_count > kMaxMetricBounds || (spec.bound_count > 0 && spec.bounds == nullptr)) {
    return refused("has ", spec.bound_count, " bounds, at most ", kMaxMetricBounds,
                   " are possible");
  }
  MetricLabels labels;
  for (const despina_pair& pair : std::span(spec.labels, spec.label_count)) {
    labels.emplace_back(View(pair.key), View(pair.value));
  }
  const MetricFamily family{.kind = *kind,
                            .help = std::string(View(spec.help)),
                            .bounds = {spec.bounds, spec.bounds + spec.bound_count}};
  return metrics.Get(name, family, std::move(labels));
}

despina_code MetricCreate(despina_metrics* metrics, const despina_metric_spec* spec,
                          despina_metric** out, despina_error* error) {
  return Guarded(error, [&]() -> Status {
    if (metrics == nullptr || spec->struct_size < sizeof *spec) {
      return InvalidArgument("a metric is made of a model's `metrics` and a whole description");
    }
    const auto series = Make(*reinterpret_cast<ModelMetrics*>(metrics), *spec);
    if (!series.ok()) return series.status();
    *out = reinterpret_cast<despina_metric*>(series->get());
    return Ok();
  });
}

MetricSeries& SeriesOf(despina_metric* metric) { return *reinterpret_cast<MetricSeries*>(metric); }

void Require(bool done, std::string_view call, double value) {
  if (done) return;
  Complain(call, Concat("the metric does not take ", std::to_string(value)));
}

void MetricAdd(despina_metric* metric, double value) {
  Require(SeriesOf(metric).Add(value), "metric_add", value);
}
void MetricSet(despina_metric* metric, double value) {
  Require(SeriesOf(metric).Set(value), "metric_set", value);
}
void MetricObserve(despina_metric* metric, double value) {
  Require(SeriesOf(metric).Observe(value), "metric_observe", value);
}

}  // namespace

void OfferMetrics(despina_host_api& table) {
  table.metric_create = MetricCreate;
  table.metric_add = MetricAdd;
  table.metric_set = MetricSet;
  table.metric_observe = MetricObserve;
}

}  // namespace despina::host
