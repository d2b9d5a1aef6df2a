// The batch and the requests that a Python instance gets: the engine's own types, written against
// the C interface since objects of pybind11 cost several times as much per request.
#pragma once

#include <Python.h>

#include <memory>

#include "bindings/instance_context.h"
#include "bindings/reference.h"
#include "engine/batch.h"

namespace despina::bindings {

// All with the lock.

// Makes the types and adds them to the module. False with an exception set.
bool PrepareBatchTypes(PyObject* module);

// An object over a batch that goes to this instance. Null with an exception set.
Reference MakeBatchObject(Batch& batch, std::shared_ptr<const InstanceContext> instance);

// The batch ends: whoever kept the object, or one of its requests, is told so from now on.
void EndBatchObject(PyObject* object);

}  // namespace despina::bindings
