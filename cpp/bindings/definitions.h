// The definitions of the engine, built from Python.
#pragma once

#include <pybind11/pybind11.h>

namespace despina::bindings {

void BindDefinitions(pybind11::module_& module);

}  // namespace despina::bindings
