// The engine and its front ends, as the control plane drives them.
#pragma once

#include <pybind11/pybind11.h>

namespace despina::bindings {

void BindEngine(pybind11::module_& module);

}  // namespace despina::bindings
