// The requests that a Python instance answers after its execute() has returned.
#pragma once

#include <Python.h>

#include <cstdint>

#include "engine/batch.h"

namespace despina::bindings {

// All with the lock.

// Makes the type and adds it to the module. False with an exception set.
bool PrepareDetachedType(PyObject* module);

// An object that owns the request: the last reference fails it if it was not answered. Null with an
// exception set, and the request failed.
PyObject* MakeDetachedObject(DetachedRequest request, uint64_t capabilities);

}  // namespace despina::bindings
