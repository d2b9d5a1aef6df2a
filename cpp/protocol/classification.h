// The classification extension: the best classes of an output in place of its tensor.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "engine/definition.h"
#include "engine/tensor.h"
#include "memory/allocator.h"

namespace despina::protocol {

// Larger tensors are refused: sorting them is work that a client gets for a few bytes.
inline constexpr uint64_t kMaxClassificationElements = 1'000'000;

// The `count` largest elements, the largest first, equal ones by index; all where there are fewer.
// With `batched` of each row of axis 0, giving BYTES [rows, count]; otherwise of the whole tensor,
// giving BYTES [count]. An element is "value:index", or "value:index:label" where the definition
// has a label for the index; floats with six decimals, a NaN behind all numbers. Precondition:
// `count` is not 0.
//
// INVALID_ARGUMENT for BOOL, BYTES, FP16 and BF16, and for too many elements; INTERNAL where data
// and shape do not agree; RESOURCE_EXHAUSTED when `allocator` has no memory.
Result<Tensor> Classify(const TensorDefinition& definition, const Tensor& tensor, bool batched,
                        uint32_t count, Allocator& allocator);

}  // namespace despina::protocol
