#include "protocol/stats_json.h"

#include <string_view>

#include "protocol/json_text.h"

namespace despina::protocol {
namespace {

// Members of an object, without its braces.
void AppendDurations(std::string& out, std::span<const NamedDuration> durations) {
  std::string_view separator;
  for (const NamedDuration& each : durations) {
    out += Concat(separator, '"', each.name, R"(":{"count":)", each.value.count, R"(,"ns":)",
                  each.value.nanoseconds, '}');
    separator = ",";
  }
}

void AppendBatches(std::string& out, const ModelCounts& counts) {
  std::string_view separator;
  for (const auto& [rows, batch] : counts.batches) {
    out += Concat(separator, R"({"batch_size":)", rows, ',');
    AppendDurations(out, BatchDurations(batch));
    out += '}';
    separator = ",";
  }
}

void AppendResponses(std::string& out, const ModelCounts& counts) {
  for (size_t i = 0; i < counts.responses.size(); ++i) {
    out += Concat(i > 0 ? "," : "", '"', i, R"(":{)");
    AppendDurations(out, ResponseDurations(counts.responses[i]));
    out += '}';
  }
}

void AppendModel(std::string& out, const NamedCounts& model) {
  const ModelCounts& counts = model.counts;
  out += Concat(R"({"name":)", Quoted(model.model), R"(,"version":")", model.version,
                R"(","last_inference":)", counts.last_inference_ms, R"(,"inference_count":)",
                counts.inference_count, R"(,"execution_count":)", counts.execution_count,
                R"(,"inference_stats":{)");
  AppendDurations(out, InferDurations(counts));
  out += R"(},"response_stats":{)";
  AppendResponses(out, counts);
  out += R"(},"batch_stats":[)";
  AppendBatches(out, counts);
  // Backends have no way to say what memory they take.
  out += R"(],"memory_usage":[]})";
}

}  // namespace

std::string StatisticsJson(std::span<const NamedCounts> models) {
  std::string out = R"({"model_stats":[)";
  for (size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out += ',';
    AppendModel(out, models[i]);
  }
  out += "]}";
  return out;
}

}  // namespace despina::protocol
