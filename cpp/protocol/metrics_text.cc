#include "protocol/metrics_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/text.h"

namespace despina::protocol {
namespace {

// Of the exposition format, not of JSON: only these three are escaped in a label's value.
std::string LabelValue(std::string_view text) {
  std::string out;
  for (const char each : text) {
    if (each == '\n') {
      out += "\\n";
      continue;
    }
    if (each == '"' || each == '\\') out += '\\';
    out += each;
  }
  return out;
}

struct Family {
  std::string_view name;
  std::string_view help;
  std::string_view type;
  uint64_t (*read)(const ModelCounts&);
};

constexpr uint64_t kNanosecondsPerMicrosecond = 1000;

uint64_t Microseconds(const DurationCount& duration) {
  return duration.nanoseconds / kNanosecondsPerMicrosecond;
}

constexpr std::array<Family, 9> kFamilies = {
    {{"nv_inference_request_success", "Requests that were answered without an error", "counter",
      [](const ModelCounts& counts) { return counts.success.count; }},
     {"nv_inference_count", "Rows inferred by successful requests", "counter",
      [](const ModelCounts& counts) { return counts.inference_count; }},
     {"nv_inference_exec_count", "Executions of the model, each of one batch", "counter",
      [](const ModelCounts& counts) { return counts.execution_count; }},
     {"nv_inference_request_duration_us", "Time from arrival to answer, in microseconds", "counter",
      [](const ModelCounts& counts) { return Microseconds(counts.success); }},
     {"nv_inference_queue_duration_us", "Time spent waiting in the queue, in microseconds",
      "counter", [](const ModelCounts& counts) { return Microseconds(counts.queue); }},
     {"nv_inference_compute_input_duration_us", "Time spent on inputs, in microseconds", "counter",
      [](const ModelCounts& counts) { return Microseconds(counts.compute_input); }},
     {"nv_inference_compute_infer_duration_us", "Time spent in the backend, in microseconds",
      "counter", [](const ModelCounts& counts) { return Microseconds(counts.compute_infer); }},
     {"nv_inference_compute_output_duration_us", "Time spent on outputs, in microseconds",
      "counter", [](const ModelCounts& counts) { return Microseconds(counts.compute_output); }},
     {"nv_inference_pending_request_count", "Requests accepted and not yet given to the backend",
      "gauge", [](const ModelCounts& counts) { return counts.pending; }}}};

// In the order of FailureReason.
constexpr std::array<std::string_view, kFailureReasons> kReasons = {"REJECTED", "CANCELED",
                                                                    "BACKEND", "OTHER"};

void AppendHead(std::string& out, std::string_view name, std::string_view help,
                std::string_view type) {
  out += Concat("# HELP ", name, ' ', help, "\n# TYPE ", name, ' ', type, '\n');
}

void AppendFamily(std::string& out, const Family& family, std::span<const NamedCounts> models,
                  std::span<const std::string> labels) {
  AppendHead(out, family.name, family.help, family.type);
  for (size_t i = 0; i < models.size(); ++i) {
    out += Concat(family.name, '{', labels[i], "} ", family.read(models[i].counts), '\n');
  }
}

void AppendFailures(std::string& out, std::span<const NamedCounts> models,
                    std::span<const std::string> labels) {
  constexpr std::string_view kName = "nv_inference_request_failure";
  AppendHead(out, kName, "Requests that were answered with an error, by reason", "counter");
  for (size_t i = 0; i < models.size(); ++i) {
    for (size_t reason = 0; reason < kFailureReasons; ++reason) {
      out += Concat(kName, '{', labels[i], ",reason=\"", kReasons[reason], "\"} ",
                    models[i].counts.failures[reason], '\n');
    }
  }
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text{};  // the shortest that reads back as the same number has 24 at most
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

// Of the text after HELP, which is not quoted.
std::string Help(std::string_view text) {
  std::string out;
  for (const char each : text) {
    if (each == '\n' || each == '\\') out += '\\';
    out += each == '\n' ? 'n' : each;
  }
  return out;
}

std::string_view TypeName(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      break;
  }
  return "histogram";
}

void AppendHistogram(std::string& out, const std::string& name, const MetricFamily& family,
                     std::string_view labels, const MetricSeries& series) {
  const std::vector<uint64_t> buckets = series.buckets();
  uint64_t count = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    count += buckets[i];
    const double bound = i < family.bounds.size() ? family.bounds[i] : INFINITY;
    out += Concat(name, "_bucket{", labels, ",le=\"", Number(bound), "\"} ", count, '\n');
  }
  out += Concat(name, "_count{", labels, "} ", count, '\n');
  out += Concat(name, "_sum{", labels, "} ", Number(series.value()), '\n');
}

void AppendCustom(std::string& out, MetricRegistry& registry) {
  std::string headed;
  registry.ForEach([&](const std::string& name, const MetricFamily& family,
                       const MetricLabels& labels, const MetricSeries& series) {
    if (name != headed) AppendHead(out, name, Help(family.help), TypeName(family.kind));
    headed = name;
    std::string text;
    for (const auto& [key, value] : labels) {
      text += Concat(text.empty() ? "" : ",", key, "=\"", LabelValue(value), '"');
    }
    if (family.kind == MetricKind::kHistogram) {
      AppendHistogram(out, name, family, text, series);
    } else {
      out += Concat(name, '{', text, "} ", Number(series.value()), '\n');
    }
  });
}

}  // namespace

std::string MetricsText(std::span<const NamedCounts> models,
                        const std::optional<AllocatorStatistics>& pool, MetricRegistry& custom) {
  std::vector<std::string> labels;
  labels.reserve(models.size());
  for (const NamedCounts& each : models) {
    labels.push_back(
        Concat("model=\"", LabelValue(each.model), "\",version=\"", each.version, '"'));
  }
  std::string out;
  for (const Family& family : kFamilies) AppendFamily(out, family, models, labels);
  AppendFailures(out, models, labels);
  if (pool) {
    constexpr std::string_view kName = "despina_pool_bytes";
    AppendHead(out, kName, "Memory of the buffer pool", "gauge");
    out += Concat(kName, "{state=\"in_use\"} ", pool->bytes_in_use, '\n');
    out += Concat(kName, "{state=\"cached\"} ", pool->bytes_cached, '\n');
  }
  AppendCustom(out, custom);
  return out;
}

}  // namespace despina::protocol
