// Runs instances of backends written in Python.
#pragma once

#include <Python.h>

#include <cstdint>
#include <memory>
#include <string>

#include "bindings/reference.h"
#include "engine/executor.h"

namespace despina::bindings {

// `model` is a despina_sdk.Model, which is kept. Called with the lock; the factory may be destroyed
// on any thread, with or without it. `label` names the model in the log;
// `capabilities` are those of its backend.
std::unique_ptr<ExecutorFactory> MakePythonExecutorFactory(PyObject* model, std::string label,
                                                           uint64_t capabilities);

}  // namespace despina::bindings
