#include "protocol/metrics_text.h"

#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <span>
#include <utility>

#include "base/text.h"
#include "engine/model.h"
#include "protocol/exposition.h"

namespace despina::protocol {
namespace {

// A model version and what was read of it, once for the whole page.
struct Row {
  const Model* model;
  std::string labels;
  ModelCounts counts;
};

constexpr uint64_t kNanosecondsPerMicrosecond = 1000;

uint64_t Microseconds(const DurationCount& duration) {
  return duration.nanoseconds / kNanosecondsPerMicrosecond;
}

struct CountFamily {
  std::string_view name;
  std::string_view help;
  uint64_t (*read)(const ModelCounts&);
};

constexpr std::array<CountFamily, 3> kCounters = {
    {{"nv_inference_request_success", "Requests that were answered without an error",
      [](const ModelCounts& counts) { return counts.success.count; }},
     {"nv_inference_count", "Rows inferred by successful requests",
      [](const ModelCounts& counts) { return counts.inference_count; }},
     {"nv_inference_exec_count", "Executions of the model, each of one batch",
      [](const ModelCounts& counts) { return counts.execution_count; }}}};

// In the order of LatencyPart.
struct LatencyFamily {
  std::string_view part;
  std::string_view help;
  DurationCount ModelCounts::*read;
};
constexpr std::array<LatencyFamily, kLatencyParts> kLatencies = {
    {{"request", "Time from arrival to answer, in microseconds", &ModelCounts::success},
     {"queue", "Time spent waiting in the queue, in microseconds", &ModelCounts::queue},
     {"compute_input", "Time spent on inputs, in microseconds", &ModelCounts::compute_input},
     {"compute_infer", "Time spent in the backend, in microseconds", &ModelCounts::compute_infer},
     {"compute_output", "Time spent on outputs, in microseconds", &ModelCounts::compute_output}}};

// In the order of FailureReason.
constexpr std::array<std::string_view, kFailureReasons> kReasons = {"REJECTED", "CANCELED",
                                                                    "BACKEND", "OTHER"};

std::vector<Row> Read(std::span<const std::shared_ptr<Model>> models) {
  std::vector<Row> rows;
  rows.reserve(models.size());
  for (const std::shared_ptr<Model>& model : models) {
    const ModelDefinition& definition = model->definition();
    MetricLabels labels = definition.metric_tags;
    labels.emplace_back("model", definition.name);
    labels.emplace_back("version", Concat(definition.version));
    rows.push_back({model.get(), LabelText(labels), model->Counts()});
  }
  return rows;
}

void AppendCounters(std::string& out, std::span<const Row> rows) {
  for (const CountFamily& family : kCounters) {
    AppendHead(out, family.name, family.help, "counter");
    for (const Row& row : rows) {
      AppendSample(out, family.name, row.labels, family.read(row.counts));
    }
  }
}

void AppendFailures(std::string& out, std::span<const Row> rows) {
  constexpr std::string_view kName = "nv_inference_request_failure";
  AppendHead(out, kName, "Requests that were answered with an error, by reason", "counter");
  for (const Row& row : rows) {
    for (size_t reason = 0; reason < kFailureReasons; ++reason) {
      AppendSample(out, kName, Concat(row.labels, ",reason=\"", kReasons[reason], '"'),
                   row.counts.failures[reason]);
    }
  }
}

void AppendLatencies(std::string& out, std::span<const Row> rows) {
  for (const LatencyFamily& family : kLatencies) {
    const std::string name = Concat("nv_inference_", family.part, "_duration_us");
    AppendHead(out, name, family.help, "counter");
    for (const Row& row : rows) {
      AppendSample(out, name, row.labels, Microseconds(row.counts.*family.read));
    }
  }
}

void AppendGauges(std::string& out, std::span<const Row> rows) {
  constexpr std::string_view kPending = "nv_inference_pending_request_count";
  AppendHead(out, kPending, "Requests accepted and not yet given to the backend", "gauge");
  for (const Row& row : rows) AppendSample(out, kPending, row.labels, row.counts.pending);
  constexpr std::string_view kLoad = "nv_model_load_duration_secs";
  AppendHead(out, kLoad, "Time that loading the model took, in seconds", "gauge");
  for (const Row& row : rows) {
    const std::chrono::duration<double> seconds = row.model->load_time();
    AppendSample(out, kLoad, row.labels, seconds.count());
  }
}

void AppendFirstResponses(std::string& out, std::span<const Row> rows) {
  constexpr std::string_view kName = "nv_inference_first_response_histogram_ms";
  bool headed = false;
  for (const Row& row : rows) {
    const MetricSeries* series = row.model->first_responses();
    if (series == nullptr) continue;
    if (!headed) {
      AppendHead(out, kName, "Time from arrival to the first response, in milliseconds",
                 "histogram");
      headed = true;
    }
    AppendHistogram(out, kName, row.model->definition().measuring.first_response_bounds, row.labels,
                    *series);
  }
}

void AppendSummaries(std::string& out, std::span<const Row> rows,
                     std::span<const double> quantiles) {
  std::vector<std::pair<const Row*, LatencyQuantiles>> measured;
  for (const Row& row : rows) {
    if (auto found = row.model->Quantiles(quantiles)) measured.emplace_back(&row, *found);
  }
  for (size_t part = 0; part < kLatencyParts && !measured.empty(); ++part) {
    const std::string name = Concat("nv_inference_", kLatencies[part].part, "_summary_us");
    AppendHead(out, name, Concat("Quantiles of the last minute: ", kLatencies[part].help),
               "summary");
    for (const auto& [row, values] : measured) {
      const DurationCount& all = row->counts.*kLatencies[part].read;
      AppendSample(out, Concat(name, "_count"), row->labels, all.count);
      AppendSample(out, Concat(name, "_sum"), row->labels, Microseconds(all));
      for (size_t i = 0; i < quantiles.size(); ++i) {
        AppendSample(out, name, Concat(row->labels, ",quantile=\"", NumberText(quantiles[i]), '"'),
                     values[part][i].value_or(NAN));
      }
    }
  }
}

void AppendReloadFailures(std::string& out, std::span<const ReloadFailures> models) {
  constexpr std::string_view kName = "despina_model_reload_failures_total";
  AppendHead(out, kName, "Changes of a model that could not be loaded while it served", "counter");
  for (const ReloadFailures& model : models) {
    AppendSample(out, kName, LabelText(model.labels), model.count);
  }
}

void AppendGauge(std::string& out, std::string_view name, std::string_view help, auto value) {
  AppendHead(out, name, help, "gauge");
  AppendSample(out, name, {}, value);
}

void AppendServer(std::string& out, const ServerFigures& server) {
  if (server.pool) {
    const auto& [in_use, cached, kept, allocations, hits, refusals] = *server.pool;
    constexpr std::string_view kName = "despina_pool_bytes";
    AppendHead(out, kName, "Memory of the buffer pool", "gauge");
    AppendSample(out, kName, "state=\"in_use\"", in_use);
    AppendSample(out, kName, "state=\"cached\"", cached);
    AppendGauge(out, "nv_pinned_memory_pool_total_bytes",
                "Memory that the buffer pool keeps at most, in bytes", kept);
    AppendGauge(out, "nv_pinned_memory_pool_used_bytes",
                "Memory of the buffer pool that requests hold, in bytes", in_use);
  }
  if (server.host) {
    AppendGauge(out, "nv_cpu_utilization", "Share of the machine's processors in use, 0 to 1",
                server.host->cpu_utilization);
    AppendGauge(out, "nv_cpu_memory_total_bytes", "Memory of the machine, in bytes",
                server.host->memory.total_bytes);
    AppendGauge(out, "nv_cpu_memory_used_bytes", "Memory of the machine in use, in bytes",
                server.host->memory.used_bytes);
  }
}

}  // namespace

std::string MetricsText(const Snapshot& snapshot, const MetricsOptions& options,
                        const ServerFigures& server, MetricRegistry& custom) {
  const std::vector<Row> rows = Read(snapshot.serving);
  std::string out;
  AppendCounters(out, rows);
  AppendFailures(out, rows);
  if (options.counter_latencies) AppendLatencies(out, rows);
  AppendGauges(out, rows);
  AppendFirstResponses(out, rows);
  AppendSummaries(out, rows, options.quantiles);
  AppendReloadFailures(out, snapshot.reload_failures);
  AppendServer(out, server);
  AppendRegistry(out, custom);
  return out;
}

}  // namespace despina::protocol
