// Putting the rows of requests together, and taking results apart.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/definition.h"
#include "engine/tensor.h"
#include "memory/allocator.h"

namespace despina {

// One after the other in one aligned buffer. The shape is the first one's, its first axis the sum.
Result<Tensor> ConcatenateRows(std::span<const Tensor* const> parts, Allocator& allocator);

// Slices of `tensor` that hold so many rows each. Precondition: together they are the rows of the
// first axis, at least one, and the data is what the shape says (CheckOutput).
std::vector<Slice> SplitRows(const Tensor& tensor, std::span<const uint32_t> rows);

// Checks what a backend gives for an output against the definition. `rows`: those expected along
// the first axis; nothing for a model without a batch axis. INTERNAL, naming the model.
Status CheckOutput(const ModelDefinition& model, const TensorDefinition& output,
                   const Tensor& tensor, std::optional<uint32_t> rows);

// The shape that clients see: the reshape undone.
Shape ClientShape(const TensorDefinition& output, const Shape& shape, bool batched);

}  // namespace despina
