#include "protocol/stats_proto.h"

#include "protocol/proto_fields.h"

namespace despina::protocol {
namespace {

using protozero::pbf_writer;

std::string DurationProto(const DurationCount& duration) {
  std::string bytes;
  pbf_writer message(bytes);
  AddNumber(message, 1, duration.count);
  AddNumber(message, 2, duration.nanoseconds);
  return bytes;
}

// Durations are there even if they are nothing, so that clients see all of them.
void AddDurations(pbf_writer& message, uint32_t first_number,
                  std::span<const NamedDuration> durations) {
  for (const NamedDuration& each : durations) {
    message.add_message(first_number++, DurationProto(each.value));
  }
}

std::string DurationsProto(std::span<const NamedDuration> durations) {
  std::string bytes;
  pbf_writer message(bytes);
  AddDurations(message, 1, durations);
  return bytes;
}

std::string BatchProto(uint32_t rows, const BatchCounts& counts) {
  std::string bytes;
  pbf_writer message(bytes);
  AddNumber(message, 1, rows);
  AddDurations(message, 2, BatchDurations(counts));
  return bytes;
}

// Backends have no way to say what memory they take: there is no memory_usage.
std::string ModelProto(const NamedCounts& model) {
  const ModelCounts& counts = model.counts;
  std::string bytes;
  pbf_writer message(bytes);
  AddText(message, 1, model.model);
  AddText(message, 2, std::to_string(model.version));
  AddNumber(message, 3, counts.last_inference_ms);
  AddNumber(message, 4, counts.inference_count);
  AddNumber(message, 5, counts.execution_count);
  message.add_message(6, DurationsProto(InferDurations(counts)));
  for (const auto& [rows, batch] : counts.batches) message.add_message(7, BatchProto(rows, batch));
  for (size_t i = 0; i < counts.responses.size(); ++i) {
    AddMapEntry(message, 9, std::to_string(i),
                DurationsProto(ResponseDurations(counts.responses[i])));
  }
  return bytes;
}

}  // namespace

std::string StatisticsProto(std::span<const NamedCounts> models) {
  std::string bytes;
  pbf_writer message(bytes);
  for (const NamedCounts& model : models) message.add_message(1, ModelProto(model));
  return bytes;
}

}  // namespace despina::protocol
