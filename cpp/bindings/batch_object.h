// The batch and the requests that a Python instance gets: the engine's own types, written against
// the C interface since objects of pybind11 cost several times as much per request.
#pragma once

#include <Python.h>

#include <cstdint>

#include "bindings/reference.h"
#include "engine/batch.h"

namespace despina::bindings {

// All with the lock.

// Makes the types and adds them to the module. False with an exception set.
bool PrepareBatchTypes(PyObject* module);

// An object over a batch of a backend with these capabilities. Null with an exception set.
Reference MakeBatchObject(Batch& batch, uint64_t capabilities);

// The batch ends: whoever kept the object, or one of its requests, is told so from now on.
void EndBatchObject(PyObject* object);

}  // namespace despina::bindings
