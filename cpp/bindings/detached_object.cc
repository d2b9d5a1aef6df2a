#include "bindings/detached_object.h"

#include <array>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "bindings/answers.h"
#include "bindings/errors.h"
#include "bindings/mappings.h"
#include "bindings/types.h"
#include "engine/log_subjects.h"

namespace despina::bindings {
namespace {

struct DetachedObject {
  PyObject head;
  std::shared_ptr<const InstanceContext> instance;
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
  Reference parameters(PyDict_New());
  const DetachedRequest* request = parameters ? Unanswered(As(self)) : nullptr;
  if (request == nullptr || !AddParameters(parameters.get(), request->request())) return nullptr;
  return parameters.release();
}

PyObject* Inputs(PyObject* self, void*) {
  DetachedObject* object = As(self);
  if (object->inputs != nullptr) return Py_NewRef(object->inputs);
  Reference inputs(PyDict_New());
  const DetachedRequest* request = inputs ? Unanswered(object) : nullptr;
  if (request == nullptr ||
      !AddInputs(inputs.get(), request->request(), request->definition(), request->allocator())) {
    return nullptr;
  }
  object->inputs = inputs.release();
  return Py_NewRef(object->inputs);
}

PyObject* Cancelled(PyObject* self, void*) {
  const DetachedObject* object = As(self);
  return PyBool_FromLong(object->request && object->request->request().cancelled());
}

// Gives it what the author answers with: all of it or nothing. The request, if that is possible;
// null with an exception set.
DetachedRequest* AddAnswer(DetachedObject* object, PyObject* const* arguments, Py_ssize_t count,
                           PyObject* keywords) {
  if (Unanswered(object) == nullptr) return nullptr;
  const auto find = [object]() -> std::optional<Answered> {
    const DetachedRequest* request = Unanswered(object);
    if (request == nullptr) return std::nullopt;
    return Answered{request->definition(), request->allocator()};
  };
  auto answer = AnswerOf(find, arguments, count, keywords);
  if (!answer) return nullptr;
  DetachedRequest* request = Unanswered(object);
  if (request == nullptr) return nullptr;
  for (auto& [output, tensor] : answer->outputs) {
    const Status added = request->AddOutput(output, std::move(tensor));
    if (added.ok()) continue;
    request->Withdraw();
    SetBackendError(added);
    return nullptr;
  }
  for (Parameter& each : answer->parameters) request->AddParameter(std::move(each));
  return request;
}

void Finish(DetachedObject* object, Status status) {
  DetachedRequest request = *std::exchange(object->request, std::nullopt);
  request.Complete(std::move(status));
}

PyObject* Complete(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                   PyObject* keywords) {
  if (AddAnswer(As(self), arguments, count, keywords) == nullptr) return nullptr;
  Finish(As(self), Ok());
  Py_RETURN_NONE;
}

PyObject* Send(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  if (!Declares(*As(self)->instance, kStreaming)) return nullptr;
  DetachedRequest* request = AddAnswer(As(self), arguments, count, keywords);
  if (request == nullptr) return nullptr;
  const Status sent = request->Send();
  if (sent.ok()) Py_RETURN_NONE;
  request->Withdraw();
  return SetBackendError(sent);
}

PyObject* Fail(PyObject* self, PyObject* error) {
  if (!PyExceptionInstance_Check(error)) {
    PyErr_SetString(PyExc_TypeError, "fail() takes an exception");
    return nullptr;
  }
  std::string traceback;
  Status status = StatusOf(error, &traceback);
  DetachedObject* object = As(self);
  const DetachedRequest* request = Unanswered(object);
  if (request == nullptr) return nullptr;
  const RequestSubject subject(request->definition(), request->request());
  Finish(object, Reported(std::move(status), traceback, *object->instance, request->definition(),
                          Concat("request '", object->id, "'"), "fail"));
  Py_RETURN_NONE;
}

void Free(PyObject* self) {
  DetachedObject* object = As(self);
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(object->inputs);
  if (object->request) {
    const RequestSubject subject(object->request->definition(), object->request->request());
    log::Error(Concat(object->instance->label, ", request '", object->id,
                      "': the backend dropped the request without answering it"));
  }
  object->request.~optional();
  object->instance.~shared_ptr();
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
    {"send", kKeywordMethod<Send>, METH_FASTCALL | METH_KEYWORDS, "Sends one part of the answer."},
    {"complete", kKeywordMethod<Complete>, METH_FASTCALL | METH_KEYWORDS,
     "Answers with one array per output."},
    {"fail", kMethod<Fail>, METH_O, "Answers with an error."},
    {nullptr, nullptr, 0, nullptr},
}};

}  // namespace

bool PrepareDetachedType(PyObject* module) {
  detached_type = MakeType(module, "despina._engine.DetachedRequest", sizeof(DetachedObject),
                           properties.data(), methods.data(), Free);
  return detached_type != nullptr;
}

PyObject* MakeDetachedObject(DetachedRequest request,
                             std::shared_ptr<const InstanceContext> instance) {
  PyObject* self = detached_type->tp_alloc(detached_type, 0);
  if (self == nullptr) return nullptr;
  DetachedObject* object = As(self);
  new (&object->instance) std::shared_ptr<const InstanceContext>(std::move(instance));
  new (&object->id) std::string(request.request().id);
  object->rows = request.request().state.rows;
  new (&object->request) std::optional<DetachedRequest>(std::move(request));
  object->inputs = nullptr;
  return self;
}

}  // namespace despina::bindings
