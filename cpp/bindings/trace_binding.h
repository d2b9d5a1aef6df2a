// Traces, for the control plane that writes them.
#pragma once

#include <pybind11/pybind11.h>

#include <map>
#include <string>

#include "engine/trace.h"

namespace despina::bindings {

// Adds the classes `Trace` and `TraceSettings`.
void BindTraces(pybind11::module_& module);

// The finished ones, as a list of `Trace`. With the lock.
pybind11::list TakeTraces(TraceSink& sink);

}  // namespace despina::bindings
