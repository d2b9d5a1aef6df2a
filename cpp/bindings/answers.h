// What an author answers with: the arguments of complete(), send() and scatter().
#pragma once

#include <Python.h>

#include <cstdint>
#include <functional>
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

// Whose answer it is. Good until code of the author's runs: that may end the batch, or answer the
// request, and with it the model may go.
struct Answered {
  const ModelDefinition& model;
  Allocator& allocator;
};
// Nothing, with an exception set, when there is nothing to answer any more.
using FindAnswered = std::function<std::optional<Answered>()>;

// `arguments` are those of a method with METH_FASTCALL | METH_KEYWORDS: outputs, parameters=None.
// Nothing with an exception set. Runs code of the author's: look again afterwards.
std::optional<Answer> AnswerOf(const FindAnswered& find, PyObject* const* arguments,
                               Py_ssize_t count, PyObject* keywords);

// The outputs alone.
std::optional<Answer> AnswerOf(const FindAnswered& find, PyObject* outputs);

}  // namespace despina::bindings
