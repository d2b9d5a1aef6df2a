#include "bindings/mappings.h"

#include <string>
#include <variant>

#include "base/text.h"
#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "bindings/reference.h"

namespace despina::bindings {
namespace {

PyObject* SetOutputUnknown(const ModelDefinition& model, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  PyErr_Clear();
  return SetBackendError(Internal(
      Concat("model '", model.name, "' has no output '", text != nullptr ? text : "?", "'")));
}

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

}  // namespace

bool Declares(uint64_t capabilities, uint64_t capability) {
  if ((capabilities & capability) != 0) return true;
  const std::string_view name = capability == kStreaming ? "STREAMING" : "ASYNC";
  SetBackendError({Code::kUnimplemented, Concat("the backend does not declare Capability.", name)});
  return false;
}

std::optional<std::string_view> TextView(PyObject* name) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  if (data == nullptr) return std::nullopt;
  return std::string_view(data, static_cast<size_t>(size));
}

std::optional<NamedOutputs> OutputsOf(const ModelDefinition& model, Allocator& allocator,
                                      PyObject* mapping) {
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

PyObject* InputsOf(const Request& request, const ModelDefinition& model, Allocator& allocator) {
  Reference inputs(PyDict_New());
  if (!inputs) return nullptr;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i]) continue;
    const Reference array(AlignedArrayOf(*request.inputs[i], allocator));
    const char* name = model.inputs[i].name.c_str();
    if (!array || PyDict_SetItemString(inputs.get(), name, array.get()) != 0) return nullptr;
  }
  return inputs.release();
}

PyObject* ParametersOf(const Request& request) {
  Reference parameters(PyDict_New());
  if (!parameters) return nullptr;
  for (const Parameter& each : request.parameters) {
    const Reference value(ValueOf(each));
    const Reference name(PyUnicode_DecodeUTF8(
        each.name.data(), static_cast<Py_ssize_t>(each.name.size()), "replace"));
    if (!value || !name || PyDict_SetItem(parameters.get(), name.get(), value.get()) != 0) {
      return nullptr;
    }
  }
  return parameters.release();
}

}  // namespace despina::bindings
