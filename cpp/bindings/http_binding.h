// How a front end is to listen, and what it is to take.
#pragma once

#include <pybind11/pybind11.h>

namespace despina::bindings {

// Adds `HttpOptions`, and the classes of what it is made of.
void BindHttpOptions(pybind11::module_& module);

}  // namespace despina::bindings
