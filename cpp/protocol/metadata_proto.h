// What server and models say of themselves, as protobuf messages.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/definition.h"
#include "engine/snapshot.h"

namespace despina::protocol {

// ServerMetadataResponse.
std::string ServerMetadataProto(std::string_view name, std::string_view version);

// ModelMetadataResponse; `versions` as of ModelMetadataJson.
std::string ModelMetadataProto(const ModelDefinition& model, std::span<const int64_t> versions);

// ModelConfigResponse.
std::string ModelConfigProto(const ModelDefinition& model);

// RepositoryIndexResponse.
std::string RepositoryIndexProto(std::span<const IndexRow> rows, bool only_ready);

}  // namespace despina::protocol
