// What an author answers with: the arguments of complete(), send() and scatter().
#pragma once

#include <Python.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/definition.h"
#include "engine/response.h"
#include "memory/allocator.h"

namespace despina::bindings {

// All with the lock.

struct Answer {
  // With their indices in the definition.
  std::vector<std::pair<uint32_t, Tensor>> outputs;
  std::vector<Parameter> parameters;
};

// `arguments` are those of a method with METH_FASTCALL | METH_KEYWORDS: outputs, parameters=None.
// Nothing with an exception set. Runs code of the author's, after which the batch may have ended or
// the request been answered: that is looked at afterwards.
std::optional<Answer> AnswerOf(const ModelDefinition& model, Allocator& allocator,
                               PyObject* const* arguments, Py_ssize_t count, PyObject* keywords);

// The outputs alone.
std::optional<Answer> AnswerOf(const ModelDefinition& model, Allocator& allocator,
                               PyObject* outputs);

}  // namespace despina::bindings
