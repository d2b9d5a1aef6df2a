#include "http/reads.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "protocol/json_value.h"
#include "protocol/metadata_json.h"
#include "protocol/model_target.h"
#include "protocol/shared_memory.h"
#include "protocol/stats_json.h"

namespace despina::http {
namespace {

Answer EmptyAnswer(int status) {
  Answer answer;
  answer.status = status;
  return answer;
}

Answer ModelStatistics(const RouteMatch& match, const Snapshot& snapshot) {
  const auto counts = protocol::ModelStatistics(snapshot, match.model, match.version);
  if (!counts.ok()) return ErrorAnswer(counts.status());
  return JsonAnswer(protocol::StatisticsJson(*counts));
}

Answer ModelMetadata(const RouteMatch& match, const Snapshot& snapshot, const Model& model) {
  return JsonAnswer(protocol::ModelMetadataJson(
      model.definition(), protocol::ListedVersions(snapshot, match.model, match.version)));
}

Answer AnswerModelRead(const RouteMatch& match, const Snapshot& snapshot) {
  const std::shared_ptr<Model> model = snapshot.Find(match.model, match.version);
  if (match.route->endpoint == Endpoint::kModelReady) {
    return model && model->ready() ? EmptyAnswer(200) : ErrorAnswer(400, "Model version not ready");
  }
  if (!model) {
    return ErrorAnswer(snapshot.Missing(match.model, match.version));
  }
  if (match.route->endpoint == Endpoint::kModelMetadata) {
    return ModelMetadata(match, snapshot, *model);
  }
  return JsonAnswer(model->definition().config_json);
}

Answer ServerReady(const Snapshot& snapshot) {
  if (snapshot.exiting) return EmptyAnswer(503);
  return EmptyAnswer(snapshot.ready ? 200 : 400);
}

Answer CudaMemoryStatus(const RouteMatch& match) {
  const Status found = protocol::CudaRegions(match.region);
  return found.ok() ? JsonAnswer("[]") : ErrorAnswer(found);
}

// Whether only versions that take requests are asked for.
Result<bool> OnlyReady(const Slice& body) {
  if (body.empty()) return false;
  protocol::JsonParser parser;
  const Result<protocol::JsonObject> object = parser.Parse(body);
  if (!object.ok()) return object.status();
  constexpr std::array<std::string_view, 1> kNames = {"ready"};
  std::array<std::optional<protocol::JsonValue>, 1> values;
  const Status found = protocol::FindMembers(*object, kNames, values);
  if (!found.ok()) return found;
  return values[0] ? protocol::AsBool("ready", *values[0]) : Result<bool>(false);
}

}  // namespace

Answer AnswerIndex(const Snapshot& snapshot, const Slice& body) {
  const Result<bool> only_ready = OnlyReady(body);
  if (!only_ready.ok()) return ErrorAnswer(only_ready.status());
  return JsonAnswer(protocol::RepositoryIndexJson(snapshot.index, *only_ready));
}

Answer AnswerRead(const RouteMatch& match, const Snapshot& snapshot, const ServerIdentity& server) {
  switch (match.route->endpoint) {
    case Endpoint::kServerLive:
      return EmptyAnswer(snapshot.live ? 200 : 400);
    case Endpoint::kServerReady:
      return ServerReady(snapshot);
    case Endpoint::kServerMetadata:
      return JsonAnswer(protocol::ServerMetadataJson(server.name, server.version));
    case Endpoint::kAllStatistics:
      return JsonAnswer(protocol::StatisticsJson(protocol::AllStatistics(snapshot)));
    case Endpoint::kModelStatistics:
      return ModelStatistics(match, snapshot);
    case Endpoint::kCudaMemoryStatus:
      return CudaMemoryStatus(match);
    case Endpoint::kCudaMemoryRegister:
      return ErrorAnswer(protocol::RegisterCudaRegion(match.region));
    case Endpoint::kCudaMemoryUnregister:
      return JsonAnswer("");
    default:
      return AnswerModelRead(match, snapshot);
  }
}

}  // namespace despina::http
