// The requests that a Python instance answers after its execute() has returned.
#pragma once

#include <Python.h>

#include <memory>

#include "bindings/instance_context.h"
#include "engine/batch.h"

namespace despina::bindings {

// All with the lock.

// Makes the type and adds it to the module. False with an exception set.
bool PrepareDetachedType(PyObject* module);

// An object that owns the request: the last reference fails it if it was not answered. Null with an
// exception set, and the request failed.
PyObject* MakeDetachedObject(DetachedRequest request,
                             std::shared_ptr<const InstanceContext> instance);

}  // namespace despina::bindings
