// Tensors of other libraries, lent by the protocol of DLPack.
#pragma once

#include <Python.h>

#include "base/status.h"
#include "bindings/reference.h"
#include "engine/tensor.h"

namespace despina::bindings {

// All with the lock.

struct LentArray {
  // Over the lender's memory, which it keeps: with its last reference the lender is told, once.
  Reference array;
  // Of the elements: numpy, which has no bfloat16, sees those as uint16.
  DataType datatype = DataType::kFp32;
};

// Whether an object lends its memory so.
bool LendsByDlpack(PyObject* object);

// Takes the tensor over. INVALID_ARGUMENT where the object refuses, where the tensor lies on a
// device or has elements that no datatype carries, and where its description makes no sense.
Result<LentArray> BorrowByDlpack(PyObject* object);

}  // namespace despina::bindings
