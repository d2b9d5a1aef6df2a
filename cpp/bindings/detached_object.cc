#include "bindings/detached_object.h"

#include <array>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "bindings/errors.h"
#include "bindings/mappings.h"
#include "bindings/types.h"

namespace despina::bindings {
namespace {

struct DetachedObject {
  PyObject head;
  uint64_t capabilities;
  // Nothing once it is answered.
  std::optional<DetachedRequest> request;
  std::string id;
  uint32_t rows;
  // A dict, made when asked for.
  PyObject* inputs;
};

PyTypeObject* detached_type = nullptr;

DetachedObject* As(PyObject* self) { return reinterpret_cast<DetachedObject*>(self); }

// The request, or null with an exception set.
DetachedRequest* Unanswered(DetachedObject* object) {
  if (object->request) return &*object->request;
  SetBackendError(
      {Code::kFailedPrecondition, Concat("request '", object->id, "' has been answered before")});
  return nullptr;
}

PyObject* Id(PyObject* self, void*) {
  const std::string& id = As(self)->id;
  return PyUnicode_DecodeUTF8(id.data(), static_cast<Py_ssize_t>(id.size()), "replace");
}

PyObject* Rows(PyObject* self, void*) { return PyLong_FromUnsignedLong(As(self)->rows); }

PyObject* Parameters(PyObject* self, void*) {
  const DetachedRequest* request = Unanswered(As(self));
  return request != nullptr ? ParametersOf(request->request()) : nullptr;
}

PyObject* Inputs(PyObject* self, void*) {
  DetachedObject* object = As(self);
  if (object->inputs != nullptr) return Py_NewRef(object->inputs);
  const DetachedRequest* request = Unanswered(object);
  if (request == nullptr) return nullptr;
  object->inputs = InputsOf(request->request(), request->definition(), request->allocator());
  return Py_XNewRef(object->inputs);
}

PyObject* Cancelled(PyObject* self, void*) {
  const DetachedObject* object = As(self);
  return PyBool_FromLong(object->request && object->request->request().cancelled());
}

// Adds what the author gives. The request, if that is possible; null with an exception set.
DetachedRequest* AddOutputs(DetachedObject* object, PyObject* mapping) {
  DetachedRequest* request = Unanswered(object);
  if (request == nullptr) return nullptr;
  auto outputs = OutputsOf(request->definition(), request->allocator(), mapping);
  if (!outputs) return nullptr;
  request = Unanswered(object);
  if (request == nullptr) return nullptr;
  for (auto& [index, tensor] : *outputs) {
    const Status added = request->AddOutput(index, std::move(tensor));
    if (added.ok()) continue;
    SetBackendError(added);
    return nullptr;
  }
  return request;
}

void Answer(DetachedObject* object, Status status) {
  DetachedRequest request = *std::exchange(object->request, std::nullopt);
  request.Complete(std::move(status));
}

PyObject* Complete(PyObject* self, PyObject* mapping) {
  if (AddOutputs(As(self), mapping) == nullptr) return nullptr;
  Answer(As(self), Ok());
  Py_RETURN_NONE;
}

PyObject* Send(PyObject* self, PyObject* mapping) {
  if (!Declares(As(self)->capabilities, kStreaming)) return nullptr;
  DetachedRequest* request = AddOutputs(As(self), mapping);
  if (request == nullptr) return nullptr;
  const Status sent = request->Send();
  if (!sent.ok()) return SetBackendError(sent);
  Py_RETURN_NONE;
}

PyObject* Fail(PyObject* self, PyObject* error) {
  if (!PyExceptionInstance_Check(error)) {
    PyErr_SetString(PyExc_TypeError, "fail() takes an exception");
    return nullptr;
  }
  Status status = StatusOf(error);
  if (Unanswered(As(self)) == nullptr) return nullptr;
  Answer(As(self), std::move(status));
  Py_RETURN_NONE;
}

void Free(PyObject* self) {
  DetachedObject* object = As(self);
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(object->inputs);
  object->request.~optional();
  object->id.~basic_string();
  type->tp_free(self);
  Py_DECREF(type);
}

std::array<PyGetSetDef, 6> properties = {{
    {"id", kGetter<Id>, nullptr, "What the client called it; may be empty.", nullptr},
    {"rows", kGetter<Rows>, nullptr, "How many rows are its own.", nullptr},
    {"parameters", kGetter<Parameters>, nullptr, "The custom parameters sent.", nullptr},
    {"inputs", kGetter<Inputs>, nullptr, "Read-only views of the tensors sent.", nullptr},
    {"cancelled", kGetter<Cancelled>, nullptr, "Whether nobody waits any more.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
}};
std::array<PyMethodDef, 4> methods = {{
    {"send", kMethod<Send>, METH_O, "Sends one part of the answer."},
    {"complete", kMethod<Complete>, METH_O, "Answers with one array per output."},
    {"fail", kMethod<Fail>, METH_O, "Answers with an error."},
    {nullptr, nullptr, 0, nullptr},
}};

}  // namespace

bool PrepareDetachedType(PyObject* module) {
  detached_type = MakeType(module, "despina._engine.DetachedRequest", sizeof(DetachedObject),
                           properties.data(), methods.data(), Free);
  return detached_type != nullptr;
}

PyObject* MakeDetachedObject(DetachedRequest request, uint64_t capabilities) {
  PyObject* self = detached_type->tp_alloc(detached_type, 0);
  if (self == nullptr) return nullptr;
  DetachedObject* object = As(self);
  object->capabilities = capabilities;
  new (&object->id) std::string(request.request().id);
  object->rows = request.request().state.rows;
  new (&object->request) std::optional<DetachedRequest>(std::move(request));
  object->inputs = nullptr;
  return self;
}

}  // namespace despina::bindings
