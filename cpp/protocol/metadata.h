// What the metadata of server and models say alike over HTTP and over gRPC.
#pragma once

#include <array>
#include <string_view>

#include "engine/definition.h"
#include "engine/snapshot.h"

namespace despina::protocol {

// Extensions of the protocol that this server has.
inline constexpr std::array<std::string_view, 10> kServerExtensions = {
    "classification",
    "model_repository",
    "model_repository(unload_dependents)",
    "model_configuration",
    "system_shared_memory",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging"};

// The shape of a tensor as requests have it: with a leading -1 where the model has a batch axis.
inline Shape WireShape(const TensorDefinition& tensor, bool batched) {
  return batched ? tensor.dims.WithFirst(-1) : tensor.dims;
}

// Whether the repository's index has a row when perhaps only versions that take requests are asked
// for.
inline bool IsListed(const IndexRow& row, bool only_ready) {
  return !only_ready || row.state == "READY";
}

// To whom names one of several repositories.
inline constexpr std::string_view kNoNamedRepositories =
    "'repository_name' specification is not supported";

}  // namespace despina::protocol
