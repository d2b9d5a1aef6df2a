// Which model a request names, and which version of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/snapshot.h"

namespace despina::protocol {

// The version that a text of a message names: nothing for an empty one, which stands for the
// latest. INVALID_ARGUMENT unless it is digits that make a number.
Result<std::optional<int64_t>> ParseModelVersion(std::string_view text);

// The versions that the metadata of a model names: the one that was asked for, or all that take
// requests. Precondition: snapshot.Find(model, version) gives one.
std::vector<int64_t> ListedVersions(const Snapshot& snapshot, std::string_view model,
                                    std::optional<int64_t> version);

}  // namespace despina::protocol
