// Requests' tensors and parameters as mappings of Python, and back.
#pragma once

#include <Python.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/definition.h"
#include "engine/request.h"
#include "memory/allocator.h"

namespace despina::bindings {

// All with the lock.

// What a backend declares: the values of despina_sdk.Capability.
inline constexpr uint64_t kStreaming = 1;
inline constexpr uint64_t kAsync = 2;

// Whether it is among them; otherwise UNIMPLEMENTED is set.
bool Declares(uint64_t capabilities, uint64_t capability);

// Nothing where it is no text.
std::optional<std::string_view> TextView(PyObject* name);

using NamedOutputs = std::vector<std::pair<uint32_t, Tensor>>;
// The outputs of a mapping; nothing with an exception set. Runs code of the author's, after which
// the batch may have ended or the request been answered: that is looked at afterwards.
std::optional<NamedOutputs> OutputsOf(const ModelDefinition& model, Allocator& allocator,
                                      PyObject* mapping);

// New dicts, or null with an exception set.
PyObject* InputsOf(const Request& request, const ModelDefinition& model, Allocator& allocator);
PyObject* ParametersOf(const Request& request);

}  // namespace despina::bindings
