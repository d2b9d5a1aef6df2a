// Metrics of backends that are written in Python.
#pragma once

#include <pybind11/pybind11.h>

namespace despina::bindings {

void BindMetrics(pybind11::module_& module);

}  // namespace despina::bindings
