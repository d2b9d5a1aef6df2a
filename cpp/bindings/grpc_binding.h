// How gRPC is served, as Python says it.
#pragma once

#include <pybind11/pybind11.h>

namespace despina::bindings {

void BindGrpcOptions(pybind11::module_& module);

}  // namespace despina::bindings
