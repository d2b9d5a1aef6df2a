// Requests of the RPCs that only ask how server and models are, as protobuf messages. They come
// from outside: what does not parse is INVALID_ARGUMENT, with the name of the message. Views in
// what is parsed are views of the message. Answers: metadata_proto.h, stats_proto.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace despina::protocol {

// Requests without fields, as ServerLiveRequest: what they hold is passed over.
Status ParseEmptyProto(std::string_view message_name, std::string_view message);

// ModelReadyRequest, ModelMetadataRequest, ModelConfigRequest, ModelStatisticsRequest.
struct ModelQuery {
  // Of a request for statistics: empty for all models.
  std::string_view model;
  std::optional<int64_t> version;
};
Result<ModelQuery> ParseModelQuery(std::string_view message_name, std::string_view message);

// RepositoryIndexRequest: whether only versions that take requests are asked for. UNIMPLEMENTED
// when it names one of several repositories, which have no names here.
Result<bool> ParseIndexQuery(std::string_view message);

// ServerLiveResponse, ServerReadyResponse, ModelReadyResponse.
std::string YesOrNoProto(bool yes);

}  // namespace despina::protocol
