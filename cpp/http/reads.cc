#include "http/reads.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"
#include "protocol/error_map.h"
#include "protocol/json_value.h"
#include "protocol/metadata_json.h"
#include "protocol/stats_json.h"

namespace despina::http {
namespace {

Answer EmptyAnswer(int status) {
  Answer answer;
  answer.status = status;
  return answer;
}

protocol::NamedCounts CountsOf(const Model& model) {
  return {model.definition().name, model.definition().version, model.Counts()};
}

std::vector<protocol::NamedCounts> AllCounts(const Snapshot& snapshot) {
  std::vector<protocol::NamedCounts> counts;
  counts.reserve(snapshot.serving.size());
  for (const auto& model : snapshot.serving) counts.push_back(CountsOf(*model));
  return counts;
}

Answer ModelStatistics(const RouteMatch& match, const Snapshot& snapshot) {
  std::vector<protocol::NamedCounts> counts;
  const auto entry = snapshot.models.find(match.model);
  const bool served = entry != snapshot.models.end() && !entry->second.versions.empty();
  if (served) {
    for (const auto& [number, model] : entry->second.versions) {
      if (!match.version || *match.version == number) counts.push_back(CountsOf(*model));
    }
  }
  if (counts.empty()) {
    return ErrorAnswer(
        400, served
                 ? Concat("requested model version is not available for model '", match.model, "'")
                 : Concat("requested model '", match.model, "' is not available"));
  }
  return JsonAnswer(protocol::StatisticsJson(counts));
}

Answer ModelMetadata(const RouteMatch& match, const Snapshot& snapshot, const Model& model) {
  std::vector<int64_t> versions;
  if (match.version) {
    versions.push_back(*match.version);
  } else {
    for (const auto& each : snapshot.models.find(match.model)->second.versions) {
      versions.push_back(each.first);
    }
  }
  return JsonAnswer(protocol::ModelMetadataJson(model.definition(), versions));
}

Answer AnswerModelRead(const RouteMatch& match, const Snapshot& snapshot) {
  const std::shared_ptr<Model> model = snapshot.Find(match.model, match.version);
  if (match.route->endpoint == Endpoint::kModelReady) {
    return model && model->ready() ? EmptyAnswer(200) : ErrorAnswer(400, "Model version not ready");
  }
  if (!model) {
    const Status missing = snapshot.Missing(match.model, match.version);
    return ErrorAnswer(protocol::HttpStatus(missing.code()), missing.message());
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
  if (match.region.empty()) return JsonAnswer("[]");
  return ErrorAnswer(404, Concat("Unable to find cuda shared memory region: '", match.region, "'"));
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
  if (!only_ready.ok()) {
    return ErrorAnswer(protocol::HttpStatus(only_ready.status().code()),
                       only_ready.status().message());
  }
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
      return JsonAnswer(protocol::StatisticsJson(AllCounts(snapshot)));
    case Endpoint::kModelStatistics:
      return ModelStatistics(match, snapshot);
    case Endpoint::kCudaMemoryStatus:
      return CudaMemoryStatus(match);
    case Endpoint::kCudaMemoryRegister:
      return ErrorAnswer(501, Concat("failed to register CUDA shared memory region: '",
                                     match.region, "', GPUs not supported"));
    case Endpoint::kCudaMemoryUnregister:
      return JsonAnswer("");
    default:
      return AnswerModelRead(match, snapshot);
  }
}

}  // namespace despina::http
