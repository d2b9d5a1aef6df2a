#include "bindings/mappings.h"

#include <string>
#include <variant>

#include "base/text.h"
#include "bindings/arrays.h"
#include "bindings/errors.h"

namespace despina::bindings {
namespace {

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

std::optional<std::string_view> TextView(PyObject* name) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, &size) : nullptr;
  if (data == nullptr) {
    PyErr_Clear();
    return std::nullopt;
  }
  return std::string_view(data, static_cast<size_t>(size));
}

Reference ItemsOf(PyObject* mapping) {
  Reference items(PyMapping_Items(mapping));
  if (!items) return {};
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) continue;
    PyErr_SetString(PyExc_TypeError, "items() of a mapping gives pairs");
    return {};
  }
  return items;
}

Result<Parameter> ParameterOf(PyObject* name, PyObject* value) {
  const auto text = TextView(name);
  if (!text) {
    return InvalidArgument("the name of a parameter is not a text that UTF-8 can carry");
  }
  Parameter parameter{std::string(*text), false};
  if (PyBool_Check(value)) {
    parameter.value = value == Py_True;
  } else if (PyFloat_Check(value)) {
    parameter.value = PyFloat_AS_DOUBLE(value);
  } else if (PyLong_Check(value)) {
    int overflow = 0;
    parameter.value = static_cast<int64_t>(PyLong_AsLongLongAndOverflow(value, &overflow));
    if (overflow != 0) {
      return InvalidArgument(Concat("parameter '", *text, "' is out of range for 'int'."));
    }
  } else if (!PyUnicode_Check(value)) {
    return InvalidArgument(
        Concat("parameter '", *text,
               "' has invalid type. It should be either 'int', 'bool', 'float' or 'string'."));
  } else if (const auto view = TextView(value)) {
    parameter.value = std::string(*view);
  } else {
    return InvalidArgument(Concat("parameter '", *text, "' is not a text that UTF-8 can carry"));
  }
  return parameter;
}

bool AddInputs(PyObject* dict, const Request& request, const ModelDefinition& model,
               Allocator& allocator) {
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i]) continue;
    const Reference array(AlignedArrayOf(*request.inputs[i], allocator));
    const char* name = model.inputs[i].name.c_str();
    if (!array || PyDict_SetItemString(dict, name, array.get()) != 0) return false;
  }
  return true;
}

bool AddParameters(PyObject* dict, const Request& request) {
  for (const Parameter& each : request.parameters) {
    const Reference value(ValueOf(each));
    const Reference name(PyUnicode_DecodeUTF8(
        each.name.data(), static_cast<Py_ssize_t>(each.name.size()), "replace"));
    if (!value || !name || PyDict_SetItem(dict, name.get(), value.get()) != 0) return false;
  }
  return true;
}

}  // namespace despina::bindings
