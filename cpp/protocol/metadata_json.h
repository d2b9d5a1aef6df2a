// What server and models say of themselves.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/definition.h"
#include "engine/snapshot.h"

namespace despina::protocol {

// Name, version, and the protocol extensions that this server has.
std::string ServerMetadataJson(std::string_view name, std::string_view version);

// Shapes are those of the wire: with a leading -1 where the model has a batch axis. `versions`:
// those that are ready.
std::string ModelMetadataJson(const ModelDefinition& model, std::span<const int64_t> versions);

// [{"name":...,"version":...,"state":...,"reason":...}, ...]; what a row does not have is left out.
std::string RepositoryIndexJson(std::span<const IndexRow> rows, bool only_ready);

}  // namespace despina::protocol
