// The inputs and outputs of a model: what its configuration lists, held against what the backend
// can take and give.
#pragma once

#include <despina/backend.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vision {

using TensorSpecs = std::vector<despina::TensorSpec>;

// As configurations name them: "FP32".
std::string NameOf(despina::Datatype datatype);

// Those configured, or all on offer if there are none.
//
// `kind` is "input" or "output", for messages. -1 in a shape on offer fits every number. A
// configuration that lists any must list those that are `required`, and not as optional. Throws
// despina::Error (INVALID_ARGUMENT): an unknown or missing tensor, another datatype or shape.
TensorSpecs Settle(const despina::ModelSpec& spec, const std::string& kind,
                   const TensorSpecs& configured, const TensorSpecs& offered,
                   const std::vector<std::string>& required);

// The place of a tensor among them, nothing where it is not.
std::optional<uint32_t> Find(const TensorSpecs& specs, std::string_view name);

}  // namespace vision
