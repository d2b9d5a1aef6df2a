#include "bindings/errors.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "bindings/reference.h"

namespace despina::bindings {
namespace {

std::string Utf8(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data != nullptr) return {data, static_cast<size_t>(size)};
  PyErr_Clear();
  return "<text that is not UTF-8>";
}

std::string StringOf(PyObject* object) {
  const Reference text(PyObject_Str(object));
  if (text) return Utf8(text.get());
  PyErr_Clear();
  return "<no text>";
}

Reference BackendErrorType() {
  const Reference module(PyImport_ImportModule("despina_sdk.errors"));
  if (!module) return {};
  return Reference(PyObject_GetAttrString(module.get(), "BackendError"));
}

std::optional<Status> FromBackendError(PyObject* exception) {
  const Reference type = BackendErrorType();
  if (!type || PyObject_IsInstance(exception, type.get()) != 1) {
    PyErr_Clear();
    return std::nullopt;
  }
  const Reference code(PyObject_GetAttrString(exception, "code"));
  const long value = code ? PyLong_AsLong(code.get()) : -1;
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  const bool known = value > 0 && CodeName(static_cast<Code>(value)) != "UNKNOWN";
  return Status(known ? static_cast<Code>(value) : Code::kUnknown, StringOf(exception));
}

std::string TracebackOf(PyObject* exception) {
  const Reference module(PyImport_ImportModule("traceback"));
  const Reference lines(
      module ? PyObject_CallMethod(module.get(), "format_exception", "O", exception) : nullptr);
  const Reference nothing(PyUnicode_FromString(""));
  const Reference text(lines && nothing ? PyUnicode_Join(nothing.get(), lines.get()) : nullptr);
  if (text) return Utf8(text.get());
  PyErr_Clear();
  return "<no traceback>";
}

}  // namespace

std::string TextOf(PyObject* exception) {
  const std::string text = StringOf(exception);
  const std::string name = Py_TYPE(exception)->tp_name;
  return text.empty() ? name : Concat(name, ": ", text);
}

PyObject* SetBackendError(const Status& status) {
  const Reference module(PyImport_ImportModule("despina_sdk.errors"));
  if (!module) return nullptr;
  const Reference type(PyObject_GetAttrString(module.get(), "BackendError"));
  const Reference code(
      PyObject_CallMethod(module.get(), "Code", "i", static_cast<int>(status.code())));
  const std::string& text = status.message();
  const Reference message(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
  if (!type || !code || !message) return nullptr;
  const Reference error(
      PyObject_CallFunctionObjArgs(type.get(), code.get(), message.get(), nullptr));
  if (error) PyErr_SetObject(type.get(), error.get());
  return nullptr;
}

Status StatusOf(PyObject* exception, std::string* traceback) {
  if (auto status = FromBackendError(exception)) return *std::move(status);
  if (traceback != nullptr) *traceback = TracebackOf(exception);
  return Internal(TextOf(exception));
}

Status TakeException(std::string* traceback) {
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  const Reference owned_type(type);
  const Reference exception(value);
  const Reference owned_trace(trace);
  if (!exception) return Internal("an exception without a value");
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  return StatusOf(value, traceback);
}

void LogTraceback(std::string_view what, std::string_view traceback) {
  log::Error(what);
  while (!traceback.empty()) {
    const size_t end = std::min(traceback.find('\n'), traceback.size());
    log::Error(Concat("    ", traceback.substr(0, end)));
    traceback.remove_prefix(std::min(end + 1, traceback.size()));
  }
}

}  // namespace despina::bindings
