// The parameters of an inference request.
#pragma once

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
};

// Adds one parameter. Reserved names are checked and kept out of the custom ones; those of
// sequences, priorities and timeouts have no effect on a model without them. INVALID_ARGUMENT.
Status ParseParameter(std::string_view name, const JsonValue& value, InferParameters& out);
// Adds the members of an object. INVALID_ARGUMENT, also for a name that is there twice.
Status ParseParameters(const JsonValue& value, InferParameters& out);

}  // namespace despina::protocol
