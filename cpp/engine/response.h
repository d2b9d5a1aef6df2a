// The answer to a request.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/recycled_memory.h"
#include "base/status.h"
#include "engine/tensor.h"

namespace despina {

struct Parameter {
  std::string name;
  std::variant<bool, int64_t, double, std::string> value;
};

struct OutputTensor {
  // In the outputs of the model's definition.
  uint32_t index = 0;
  Tensor tensor;
};

struct Response {
  Status status;
  // In the order of the definition; empty when the status is not OK.
  RecycledVector<OutputTensor> outputs;
  std::vector<Parameter> parameters;
};

}  // namespace despina
