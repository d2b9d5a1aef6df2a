#include "bindings/batch_object.h"

#include <array>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "base/text.h"
#include "bindings/answers.h"
#include "bindings/arrays.h"
#include "bindings/detached_object.h"
#include "bindings/errors.h"
#include "bindings/mappings.h"
#include "bindings/types.h"

namespace despina::bindings {
namespace {

struct BatchObject {
  PyObject head;
  // Null once execute() has returned.
  Batch* batch;
  // A tuple, made when asked for.
  PyObject* requests;
  std::shared_ptr<const InstanceContext> instance;
};

struct RequestObject {
  PyObject head;
  BatchObject* batch;
  size_t index;
  uint32_t rows;
  bool detached;
  std::string id;
  // A dict, made when asked for.
  PyObject* inputs;
};

PyTypeObject* batch_type = nullptr;
PyTypeObject* request_type = nullptr;

BatchObject* AsBatch(PyObject* self) { return reinterpret_cast<BatchObject*>(self); }
RequestObject* AsRequest(PyObject* self) { return reinterpret_cast<RequestObject*>(self); }

// The batch, or null with an exception set.
Batch* Alive(BatchObject* object) {
  if (object->batch != nullptr) return object->batch;
  SetBackendError({Code::kFailedPrecondition,
                   "the batch has ended: neither it nor its requests may be kept after execute()"});
  return nullptr;
}

// The batch if the request in it is still unanswered, or null with an exception set.
Batch* Unanswered(RequestObject* object) {
  Batch* batch = Alive(object->batch);
  if (batch == nullptr || !batch->answered(object->index)) return batch;
  const std::string_view why =
      object->detached ? "' has been detached" : "' has been answered before";
  SetBackendError({Code::kFailedPrecondition, Concat("request '", object->id, why)});
  return nullptr;
}

// -- Request

PyObject* RequestInputs(PyObject* self, void*) {
  RequestObject* object = AsRequest(self);
  if (Alive(object->batch) == nullptr) return nullptr;
  if (object->inputs != nullptr) return Py_NewRef(object->inputs);
  Reference inputs(PyDict_New());
  const Batch* batch = inputs ? Unanswered(object) : nullptr;
  if (batch == nullptr || !AddInputs(inputs.get(), batch->request(object->index),
                                     batch->definition(), batch->allocator())) {
    return nullptr;
  }
  object->inputs = inputs.release();
  return Py_NewRef(object->inputs);
}

PyObject* RequestParameters(PyObject* self, void*) {
  Reference parameters(PyDict_New());
  const Batch* batch = parameters ? Unanswered(AsRequest(self)) : nullptr;
  if (batch == nullptr) return nullptr;
  const Request& request = batch->request(AsRequest(self)->index);
  return AddParameters(parameters.get(), request) ? parameters.release() : nullptr;
}

PyObject* RequestId(PyObject* self, void*) {
  const std::string& id = AsRequest(self)->id;
  return PyUnicode_DecodeUTF8(id.data(), static_cast<Py_ssize_t>(id.size()), "replace");
}

PyObject* RequestRows(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(AsRequest(self)->rows);
}

PyObject* RequestCancelled(PyObject* self, void*) {
  RequestObject* object = AsRequest(self);
  Batch* batch = Alive(object->batch);
  if (batch == nullptr) return nullptr;
  return PyBool_FromLong(!batch->answered(object->index) &&
                         batch->request(object->index).cancelled());
}

PyObject* RequestTraceContext(PyObject* self, void*) {
  Reference headers(PyDict_New());
  const Batch* batch = headers ? Unanswered(AsRequest(self)) : nullptr;
  if (batch == nullptr) return nullptr;
  const Trace* trace = batch->request(AsRequest(self)->index).trace.get();
  if (trace == nullptr || !trace->context.shared) return headers.release();
  const auto add = [&](const char* name, const std::string& text) {
    const Reference value(
        PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr));
    return value && PyDict_SetItemString(headers.get(), name, value.get()) == 0;
  };
  if (!add("traceparent", trace->context.Outgoing())) return nullptr;
  const std::string& state = trace->context.state;
  return state.empty() || add("tracestate", state) ? headers.release() : nullptr;
}

std::optional<Answered> AnsweredOf(const Batch* batch) {
  if (batch == nullptr) return std::nullopt;
  return Answered{batch->definition(), batch->allocator()};
}

// Gives a request what the author answers with: all of it or nothing. The batch, if that is
// possible; null with an exception set.
Batch* AddAnswer(RequestObject* object, PyObject* const* arguments, Py_ssize_t count,
                 PyObject* keywords) {
  if (Unanswered(object) == nullptr) return nullptr;
  const auto find = [object] { return AnsweredOf(Unanswered(object)); };
  auto answer = AnswerOf(find, arguments, count, keywords);
  if (!answer) return nullptr;
  Batch* batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  for (auto& [output, tensor] : answer->outputs) {
    const Status added = batch->AddOutput(object->index, output, std::move(tensor));
    if (added.ok()) continue;
    batch->Withdraw(object->index);
    SetBackendError(added);
    return nullptr;
  }
  for (Parameter& each : answer->parameters) batch->AddParameter(object->index, std::move(each));
  return batch;
}

// Sends what a request has been given. False with an exception set.
bool SendPart(Batch& batch, size_t index) {
  const Status sent = batch.Send(index);
  if (sent.ok()) return true;
  batch.Withdraw(index);
  SetBackendError(sent);
  return false;
}

PyObject* RequestSend(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* keywords) {
  RequestObject* object = AsRequest(self);
  if (!Declares(*object->batch->instance, kStreaming)) return nullptr;
  Batch* batch = AddAnswer(object, arguments, count, keywords);
  if (batch == nullptr || !SendPart(*batch, object->index)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* RequestDetach(PyObject* self, PyObject*) {
  RequestObject* object = AsRequest(self);
  if (!Declares(*object->batch->instance, kAsync)) return nullptr;
  Batch* batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  object->detached = true;
  return MakeDetachedObject(batch->Detach(object->index), object->batch->instance);
}

PyObject* RequestComplete(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                          PyObject* keywords) {
  RequestObject* object = AsRequest(self);
  Batch* batch = AddAnswer(object, arguments, count, keywords);
  if (batch == nullptr) return nullptr;
  batch->Complete(object->index, Ok());
  batch->Deliver();
  Py_RETURN_NONE;
}

PyObject* RequestFail(PyObject* self, PyObject* error) {
  RequestObject* object = AsRequest(self);
  if (!PyExceptionInstance_Check(error)) {
    PyErr_SetString(PyExc_TypeError, "fail() takes an exception");
    return nullptr;
  }
  std::string traceback;
  Status status = StatusOf(error, &traceback);
  Batch* batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  batch->Complete(object->index,
                  Reported(std::move(status), traceback, *object->batch->instance,
                           batch->definition(), Concat("request '", object->id, "'"), "fail"));
  batch->Deliver();
  Py_RETURN_NONE;
}

void FreeRequest(PyObject* self) {
  RequestObject* object = AsRequest(self);
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(object->inputs);
  Py_DECREF(&object->batch->head);
  object->id.~basic_string();
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* MakeRequest(BatchObject* batch, size_t index) {
  PyObject* self = request_type->tp_alloc(request_type, 0);
  if (self == nullptr) return nullptr;
  RequestObject* object = AsRequest(self);
  const bool answered = batch->batch->answered(index);
  object->batch = batch;
  Py_INCREF(&batch->head);
  object->index = index;
  object->detached = false;
  object->rows = answered ? 0 : batch->batch->request(index).state.rows;
  new (&object->id) std::string(answered ? std::string() : batch->batch->request(index).id);
  object->inputs = nullptr;
  return self;
}

// -- Batch

PyObject* BatchRequests(PyObject* self, void*) {
  BatchObject* object = AsBatch(self);
  Batch* batch = Alive(object);
  if (batch == nullptr) return nullptr;
  if (object->requests == nullptr) {
    Reference tuple(PyTuple_New(static_cast<Py_ssize_t>(batch->size())));
    if (!tuple) return nullptr;
    for (size_t i = 0; i < batch->size(); ++i) {
      PyObject* request = MakeRequest(object, i);
      if (request == nullptr) return nullptr;
      PyTuple_SET_ITEM(tuple.get(), static_cast<Py_ssize_t>(i), request);
    }
    object->requests = tuple.release();
  }
  return Py_NewRef(object->requests);
}

PyObject* BatchRows(PyObject* self, void*) {
  Batch* batch = Alive(AsBatch(self));
  return batch != nullptr ? PyLong_FromUnsignedLong(batch->rows()) : nullptr;
}

PyObject* BatchGather(PyObject* self, PyObject* name) {
  Batch* batch = Alive(AsBatch(self));
  if (batch == nullptr) return nullptr;
  const auto text = TextView(name);
  const std::optional<uint32_t> index = text ? batch->definition().FindInput(*text) : std::nullopt;
  if (!index) {
    PyErr_Clear();
    return SetBackendError(Internal(
        Concat("model '", batch->definition().name, "' has no input '", text.value_or("?"), "'")));
  }
  const Result<const Tensor*> tensor = batch->Gather(*index);
  if (!tensor.ok()) return SetBackendError(tensor.status());
  if (*tensor == nullptr) Py_RETURN_NONE;
  return AlignedArrayOf(**tensor, batch->allocator());
}

void WithdrawUnanswered(Batch& batch) {
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch.answered(i)) batch.Withdraw(i);
  }
}

// Splits what the author gives between the requests: all of it or nothing. The batch, if that is
// possible; null with an exception set.
Batch* ScatterOutputs(PyObject* self, PyObject* mapping) {
  if (Alive(AsBatch(self)) == nullptr) return nullptr;
  const auto find = [self] { return AnsweredOf(Alive(AsBatch(self))); };
  const auto answer = AnswerOf(find, mapping);
  if (!answer) return nullptr;
  Batch* batch = Alive(AsBatch(self));
  if (batch == nullptr) return nullptr;
  for (const auto& [output, tensor] : answer->outputs) {
    const Status split = batch->Scatter(output, tensor);
    if (split.ok()) continue;
    WithdrawUnanswered(*batch);
    SetBackendError(split);
    return nullptr;
  }
  return batch;
}

PyObject* BatchScatter(PyObject* self, PyObject* mapping) {
  Batch* batch = ScatterOutputs(self, mapping);
  if (batch == nullptr) return nullptr;
  batch->CompleteUnanswered(Ok());
  Py_RETURN_NONE;
}

PyObject* BatchSend(PyObject* self, PyObject* mapping) {
  if (!Declares(*AsBatch(self)->instance, kStreaming)) return nullptr;
  Batch* batch = ScatterOutputs(self, mapping);
  if (batch == nullptr) return nullptr;
  for (size_t i = 0; i < batch->size(); ++i) {
    if (batch->answered(i) || SendPart(*batch, i)) continue;
    // Not decoupled: refused to the first of them, and so to all.
    WithdrawUnanswered(*batch);
    return nullptr;
  }
  Py_RETURN_NONE;
}

void FreeBatch(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(AsBatch(self)->requests);
  AsBatch(self)->instance.~shared_ptr();
  type->tp_free(self);
  Py_DECREF(type);
}

// -- types

std::array<PyGetSetDef, 7> request_properties = {{
    {"id", kGetter<RequestId>, nullptr, "What the client called it; may be empty.", nullptr},
    {"rows", kGetter<RequestRows>, nullptr, "How many rows of the batch are its own.", nullptr},
    {"parameters", kGetter<RequestParameters>, nullptr, "The custom parameters sent.", nullptr},
    {"inputs", kGetter<RequestInputs>, nullptr, "Read-only views of the tensors sent.", nullptr},
    {"cancelled", kGetter<RequestCancelled>, nullptr, "Whether nobody waits any more.", nullptr},
    {"trace_context", kGetter<RequestTraceContext>, nullptr,
     "Headers that hand the request's trace on; empty unless it is traced.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
}};
std::array<PyMethodDef, 5> request_methods = {{
    {"send", kKeywordMethod<RequestSend>, METH_FASTCALL | METH_KEYWORDS,
     "Sends one part of the answer."},
    {"detach", kMethod<RequestDetach>, METH_NOARGS, "Takes it out of the batch."},
    {"complete", kKeywordMethod<RequestComplete>, METH_FASTCALL | METH_KEYWORDS,
     "Answers with one array per output."},
    {"fail", kMethod<RequestFail>, METH_O, "Answers with an error."},
    {nullptr, nullptr, 0, nullptr},
}};
std::array<PyGetSetDef, 3> batch_properties = {{
    {"requests", kGetter<BatchRequests>, nullptr, "The requests, in order of arrival.", nullptr},
    {"rows", kGetter<BatchRows>, nullptr, "Rows of all requests together.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
}};
std::array<PyMethodDef, 4> batch_methods = {{
    {"send", kMethod<BatchSend>, METH_O, "Splits one array per output into parts of answers."},
    {"gather", kMethod<BatchGather>, METH_O, "One array of all requests' rows of an input."},
    {"scatter", kMethod<BatchScatter>, METH_O, "Splits one array per output and answers all."},
    {nullptr, nullptr, 0, nullptr},
}};

}  // namespace

bool PrepareBatchTypes(PyObject* module) {
  batch_type = MakeType(module, "despina._engine.Batch", sizeof(BatchObject),
                        batch_properties.data(), batch_methods.data(), FreeBatch);
  request_type = MakeType(module, "despina._engine.Request", sizeof(RequestObject),
                          request_properties.data(), request_methods.data(), FreeRequest);
  return batch_type != nullptr && request_type != nullptr;
}

Reference MakeBatchObject(Batch& batch, std::shared_ptr<const InstanceContext> instance) {
  PyObject* self = batch_type->tp_alloc(batch_type, 0);
  if (self != nullptr) {
    AsBatch(self)->batch = &batch;
    AsBatch(self)->requests = nullptr;
    new (&AsBatch(self)->instance) std::shared_ptr<const InstanceContext>(std::move(instance));
  }
  return Reference(self);
}

void EndBatchObject(PyObject* object) {
  AsBatch(object)->batch = nullptr;
  // The requests refer to the batch, and the batch to them.
  Py_CLEAR(AsBatch(object)->requests);
}

}  // namespace despina::bindings
