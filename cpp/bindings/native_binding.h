// Backends in shared libraries, for the control plane.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "engine/executor.h"

namespace despina::bindings {

void BindNative(pybind11::module_& module);

// What runs the instances of a model, if the object is one of a native backend's; otherwise null.
// Throws EngineError when the model has been closed.
std::unique_ptr<ExecutorFactory> NativeFactoryOf(const pybind11::object& model);

}  // namespace despina::bindings
