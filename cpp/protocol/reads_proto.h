// Protobuf messages of the RPCs that only ask how models are: their requests read, their answers
// written. Requests come from outside: what does not parse is INVALID_ARGUMENT, with the name of
// the message. Views in what is parsed are views of the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/snapshot.h"
#include "protocol/statistics.h"

namespace despina::protocol {

// Requests without fields, as ServerLiveRequest: what they hold is passed over.
Status ParseEmptyProto(std::string_view message_name, std::span<const std::byte> message);

// ModelReadyRequest, ModelMetadataRequest, ModelConfigRequest, ModelStatisticsRequest.
struct ModelQuery {
  // Of a request for statistics: empty for all models.
  std::string_view model;
  std::optional<int64_t> version;
};
Result<ModelQuery> ParseModelQuery(std::string_view message_name,
                                   std::span<const std::byte> message);

// RepositoryIndexRequest: whether only versions that take requests are asked for. UNIMPLEMENTED
// when it names one of several repositories, which have no names here.
Result<bool> ParseIndexQuery(std::span<const std::byte> message);

// ServerLiveResponse, ServerReadyResponse, ModelReadyResponse.
std::string YesOrNoProto(bool yes);

// ModelStatisticsResponse, in the order given; durations in nanoseconds.
std::string StatisticsProto(std::span<const NamedCounts> models);

// RepositoryIndexResponse.
std::string RepositoryIndexProto(std::span<const IndexRow> rows, bool only_ready);

}  // namespace despina::protocol
