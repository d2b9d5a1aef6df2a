// Requests' tensors and parameters as mappings of Python, and back.
#pragma once

#include <Python.h>

#include <optional>
#include <string_view>

#include "base/status.h"
#include "bindings/reference.h"
#include "engine/definition.h"
#include "engine/request.h"
#include "memory/allocator.h"

namespace despina::bindings {

// All with the lock.

// Nothing where it is no text.
std::optional<std::string_view> TextView(PyObject* name);

// The pairs of a mapping as a list. Null with an exception set.
Reference ItemsOf(PyObject* mapping);

// A custom parameter. INVALID_ARGUMENT for what none can be.
Result<Parameter> ParameterOf(PyObject* name, PyObject* value);

// Fill in a new dict, which their callers make before they look for the request: the garbage
// collector may run then, and with it code of the author's. False with an exception set.
bool AddInputs(PyObject* dict, const Request& request, const ModelDefinition& model,
               Allocator& allocator);
bool AddParameters(PyObject* dict, const Request& request);

}  // namespace despina::bindings
