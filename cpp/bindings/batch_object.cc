#include "bindings/batch_object.h"

#include <array>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/text.h"
#include "bindings/arrays.h"
#include "bindings/errors.h"

namespace despina::bindings {
namespace {

struct BatchObject {
  PyObject head;
  // Null once execute() has returned.
  Batch* batch;
  // A tuple, made when asked for.
  PyObject* requests;
};

struct RequestObject {
  PyObject head;
  BatchObject* batch;
  size_t index;
  uint32_t rows;
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
  SetBackendError(
      {Code::kFailedPrecondition, Concat("request '", object->id, "' has been answered before")});
  return nullptr;
}

PyObject* SetOutputUnknown(const ModelDefinition& model, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  PyErr_Clear();
  return SetBackendError(Internal(
      Concat("model '", model.name, "' has no output '", text != nullptr ? text : "?", "'")));
}

std::optional<std::string_view> TextView(PyObject* name) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  if (data == nullptr) return std::nullopt;
  return std::string_view(data, static_cast<size_t>(size));
}

using NamedOutputs = std::vector<std::pair<uint32_t, Tensor>>;

std::optional<std::pair<uint32_t, Tensor>> OutputOf(const ModelDefinition& model,
                                                    Allocator& allocator, PyObject* name,
                                                    PyObject* value) {
  const auto text = TextView(name);
  const std::optional<uint32_t> index = text ? model.FindOutput(*text) : std::nullopt;
  if (!index) {
    SetOutputUnknown(model, name);
    return std::nullopt;
  }
  Result<Tensor> tensor =
      TensorOf(value, model.outputs[*index].datatype, Sharing::kShare, allocator);
  if (!tensor.ok()) {
    const Status& status = tensor.status();
    SetBackendError(
        {status.code() == Code::kInvalidArgument ? Code::kInternal : status.code(),
         Concat("output '", *text, "' of model '", model.name, "': ", status.message())});
    return std::nullopt;
  }
  return std::pair(*index, *std::move(tensor));
}

// The outputs of a mapping; nothing with an exception set. Runs code of the author's, after which
// the batch may have ended or the request been answered: that is looked at afterwards.
std::optional<NamedOutputs> OutputsOf(const Batch& batch, PyObject* mapping) {
  const ModelDefinition& model = batch.definition();
  Allocator& allocator = batch.allocator();
  const Reference items(PyMapping_Items(mapping));
  if (!items) return std::nullopt;
  NamedOutputs outputs;
  const Py_ssize_t size = PyList_GET_SIZE(items.get());
  outputs.reserve(static_cast<size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    auto output = OutputOf(model, allocator, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    if (!output) return std::nullopt;
    outputs.push_back(*std::move(output));
  }
  return outputs;
}

PyObject* ValueOf(const Parameter& parameter) {
  if (const auto* flag = std::get_if<bool>(&parameter.value)) return PyBool_FromLong(*flag);
  if (const auto* number = std::get_if<int64_t>(&parameter.value)) {
    return PyLong_FromLongLong(*number);
  }
  if (const auto* number = std::get_if<double>(&parameter.value)) {
    return PyFloat_FromDouble(*number);
  }
  const auto& text = std::get<std::string>(parameter.value);
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

// -- Request

PyObject* RequestInputs(PyObject* self, void*) {
  RequestObject* object = AsRequest(self);
  if (object->inputs != nullptr) return Py_NewRef(object->inputs);
  Batch* batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  Reference inputs(PyDict_New());
  if (!inputs) return nullptr;
  const Request& request = batch->request(object->index);
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i]) continue;
    const Reference array(ArrayOf(*request.inputs[i], batch->allocator()));
    const char* name = batch->definition().inputs[i].name.c_str();
    if (!array || PyDict_SetItemString(inputs.get(), name, array.get()) != 0) return nullptr;
  }
  object->inputs = inputs.release();
  return Py_NewRef(object->inputs);
}

PyObject* RequestParameters(PyObject* self, void*) {
  Batch* batch = Unanswered(AsRequest(self));
  if (batch == nullptr) return nullptr;
  Reference parameters(PyDict_New());
  if (!parameters) return nullptr;
  for (const Parameter& each : batch->request(AsRequest(self)->index).parameters) {
    const Reference value(ValueOf(each));
    const Reference name(PyUnicode_DecodeUTF8(
        each.name.data(), static_cast<Py_ssize_t>(each.name.size()), "replace"));
    if (!value || !name || PyDict_SetItem(parameters.get(), name.get(), value.get()) != 0) {
      return nullptr;
    }
  }
  return parameters.release();
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

PyObject* RequestComplete(PyObject* self, PyObject* mapping) {
  RequestObject* object = AsRequest(self);
  Batch* batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  auto outputs = OutputsOf(*batch, mapping);
  if (!outputs) return nullptr;
  batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  for (auto& [index, tensor] : *outputs) {
    const Status added = batch->AddOutput(object->index, index, std::move(tensor));
    if (!added.ok()) return SetBackendError(added);
  }
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
  Status status = StatusOf(error);
  Batch* batch = Unanswered(object);
  if (batch == nullptr) return nullptr;
  batch->Complete(object->index, std::move(status));
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
  return ArrayOf(**tensor, batch->allocator());
}

PyObject* BatchScatter(PyObject* self, PyObject* mapping) {
  Batch* batch = Alive(AsBatch(self));
  if (batch == nullptr) return nullptr;
  const auto outputs = OutputsOf(*batch, mapping);
  if (!outputs) return nullptr;
  batch = Alive(AsBatch(self));
  if (batch == nullptr) return nullptr;
  for (const auto& [index, tensor] : *outputs) {
    const Status split = batch->Scatter(index, tensor);
    if (!split.ok()) return SetBackendError(split);
  }
  batch->CompleteUnanswered(Ok());
  Py_RETURN_NONE;
}

void FreeBatch(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(AsBatch(self)->requests);
  type->tp_free(self);
  Py_DECREF(type);
}

// -- types

// C++ exceptions end here: the interpreter knows nothing of them.
template <auto function, class... Arguments>
PyObject* Guarded(Arguments... arguments) {
  try {
    return function(arguments...);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}
template <auto function>
constexpr getter kGetter = Guarded<function, PyObject*, void*>;
template <auto function>
constexpr PyCFunction kMethod = Guarded<function, PyObject*, PyObject*>;

std::array<PyGetSetDef, 6> request_properties = {{
    {"id", kGetter<RequestId>, nullptr, "What the client called it; may be empty.", nullptr},
    {"rows", kGetter<RequestRows>, nullptr, "How many rows of the batch are its own.", nullptr},
    {"parameters", kGetter<RequestParameters>, nullptr, "The custom parameters sent.", nullptr},
    {"inputs", kGetter<RequestInputs>, nullptr, "Read-only views of the tensors sent.", nullptr},
    {"cancelled", kGetter<RequestCancelled>, nullptr, "Whether nobody waits any more.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
}};
std::array<PyMethodDef, 3> request_methods = {{
    {"complete", kMethod<RequestComplete>, METH_O, "Answers with one array per output."},
    {"fail", kMethod<RequestFail>, METH_O, "Answers with an error."},
    {nullptr, nullptr, 0, nullptr},
}};
std::array<PyGetSetDef, 3> batch_properties = {{
    {"requests", kGetter<BatchRequests>, nullptr, "The requests, in order of arrival.", nullptr},
    {"rows", kGetter<BatchRows>, nullptr, "Rows of all requests together.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
}};
std::array<PyMethodDef, 3> batch_methods = {{
    {"gather", kMethod<BatchGather>, METH_O, "One array of all requests' rows of an input."},
    {"scatter", kMethod<BatchScatter>, METH_O, "Splits one array per output and answers all."},
    {nullptr, nullptr, 0, nullptr},
}};

PyTypeObject* MakeType(PyObject* module, const char* name, int size, PyGetSetDef* properties,
                       PyMethodDef* methods, destructor free) {
  std::array<PyType_Slot, 4> slots = {{{Py_tp_getset, properties},
                                       {Py_tp_methods, methods},
                                       {Py_tp_dealloc, reinterpret_cast<void*>(free)},
                                       {0, nullptr}}};
  PyType_Spec spec = {.name = name,
                      .basicsize = size,
                      .itemsize = 0,
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                      .slots = slots.data()};
  auto* type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (type != nullptr && PyModule_AddType(module, type) != 0) return nullptr;
  return type;
}

}  // namespace

bool PrepareBatchTypes(PyObject* module) {
  batch_type = MakeType(module, "despina._engine.Batch", sizeof(BatchObject),
                        batch_properties.data(), batch_methods.data(), FreeBatch);
  request_type = MakeType(module, "despina._engine.Request", sizeof(RequestObject),
                          request_properties.data(), request_methods.data(), FreeRequest);
  return batch_type != nullptr && request_type != nullptr;
}

Reference MakeBatchObject(Batch& batch) {
  PyObject* self = batch_type->tp_alloc(batch_type, 0);
  if (self != nullptr) {
    AsBatch(self)->batch = &batch;
    AsBatch(self)->requests = nullptr;
  }
  return Reference(self);
}

void EndBatchObject(PyObject* object) {
  AsBatch(object)->batch = nullptr;
  // The requests refer to the batch, and the batch to them.
  Py_CLEAR(AsBatch(object)->requests);
}

}  // namespace despina::bindings
