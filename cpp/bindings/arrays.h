// Tensors as numpy arrays and back.
#pragma once

#include <Python.h>

#include <string_view>

#include "base/status.h"
#include "bindings/dlpack.h"
#include "engine/definition.h"
#include "engine/tensor.h"
#include "memory/allocator.h"

namespace despina::bindings {

// All with the lock.

// Makes the type of the object that keeps a tensor's memory for the arrays that show it. False
// with an exception set.
bool PrepareArrays();

// A read-only array over the tensor's memory, which it keeps; BYTES become an object array of
// `bytes`. A new reference, or null with an exception set.
PyObject* ArrayOf(const Tensor& tensor);
// The same, aligned as backends are promised: copied where it is not.
PyObject* AlignedArrayOf(const Tensor& tensor, Allocator& allocator);

// What becomes of the memory of an array that is made a tensor.
enum class Sharing {
  kShare,  // a large one is kept by the tensor; its owner must not write to it any more
  kCopy,   // the tensor's is its own
};

// `value` is an array, what lends its memory by DLPack or the buffer protocol, or what numpy makes
// an array of. The datatype is `expected` where the array can carry it; otherwise it is the array's
// own, for the caller to refuse. INVALID_ARGUMENT for arrays that no datatype carries. Runs code of
// the author's, and uses nothing of the engine's that this may end.
Result<LentArray> Lent(PyObject* value, DataType expected);

// What is small or not row by row is copied, once; the engine's own memory, which nobody can write
// to, never. Runs no code of the author's.
Result<Tensor> TensorOf(const LentArray& lent, Sharing sharing, Allocator& allocator);

}  // namespace despina::bindings
