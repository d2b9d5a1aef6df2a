// Errors of the engine as Python exceptions, and the other way round.
#pragma once

#include <Python.h>

#include <string>
#include <string_view>

#include "base/status.h"

namespace despina::bindings {

// All with the lock.

// Sets a despina_sdk.BackendError: what authors get who call the engine wrongly. Returns null.
PyObject* SetBackendError(const Status& status);

// Takes the exception that is set. A BackendError keeps its code and text; anything else becomes
// INTERNAL with the name of its type and its text, and `traceback`, if given, gets the traceback.
Status TakeException(std::string* traceback = nullptr);
// The same for an exception object.
Status StatusOf(PyObject* exception, std::string* traceback = nullptr);

// A line that says what happened, and the traceback's lines below it.
void LogTraceback(std::string_view what, std::string_view traceback);

// "ValueError: text"
std::string TextOf(PyObject* exception);

}  // namespace despina::bindings
