// The parameters of an inference request.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/response.h"
#include "protocol/json_value.h"

namespace despina::protocol {

// What the member `parameters` of a request says.
struct InferParameters {
  // For the backend.
  std::vector<Parameter> custom;
  bool binary_data_output = false;
  bool enable_empty_final_response = false;
};

// What a reserved name may hold. Reserved parameters are checked and kept out of the custom ones;
// those of sequences, priorities and timeouts have no effect on a model without them.
enum class ReservedParameter { kSequenceId, kFlag, kPriority, kTimeout };
// Nothing for a name that clients may use as they like.
std::optional<ReservedParameter> FindReservedParameter(std::string_view name);
// Whether the name is one that the server itself may give a meaning to some day.
bool IsServerParameter(std::string_view name);

// Adds one parameter. INVALID_ARGUMENT.
Status ParseParameter(std::string_view name, const JsonValue& value, InferParameters& out);
// Adds the members of an object. INVALID_ARGUMENT, also for a name that is there twice.
Status ParseParameters(const JsonValue& value, InferParameters& out);

}  // namespace despina::protocol
