#include "bindings/answers.h"

#include <array>
#include <string_view>

#include "base/text.h"
#include "bindings/arrays.h"
#include "bindings/errors.h"
#include "bindings/mappings.h"
#include "bindings/reference.h"

namespace despina::bindings {
namespace {

constexpr std::array<const char*, 2> kNames = {"outputs", "parameters"};
using Arguments = std::array<PyObject*, kNames.size()>;

std::optional<Arguments> SetArgumentsWrong() {
  PyErr_SetString(PyExc_TypeError, "an answer has outputs and, if there are any, parameters");
  return std::nullopt;
}

// By place and by name.
std::optional<Arguments> Sorted(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  Arguments sorted{};
  if (static_cast<size_t>(count) > sorted.size()) return SetArgumentsWrong();
  for (Py_ssize_t i = 0; i < count; ++i) sorted[static_cast<size_t>(i)] = arguments[i];
  const Py_ssize_t named = keywords != nullptr ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < named; ++i) {
    size_t place = 0;
    PyObject* keyword = PyTuple_GET_ITEM(keywords, i);
    while (place < kNames.size() && PyUnicode_CompareWithASCIIString(keyword, kNames[place]) != 0) {
      ++place;
    }
    if (place == kNames.size() || sorted[place] != nullptr) return SetArgumentsWrong();
    sorted[place] = arguments[count + i];
  }
  if (sorted[0] == nullptr) return SetArgumentsWrong();
  return sorted;
}

bool AddOutput(const ModelDefinition& model, Allocator& allocator, PyObject* name, PyObject* value,
               Answer& answer) {
  const auto text = TextView(name);
  const std::optional<uint32_t> index = text ? model.FindOutput(*text) : std::nullopt;
  if (!index) {
    SetBackendError(
        Internal(Concat("model '", model.name, "' has no output '", text.value_or("?"), "'")));
    return false;
  }
  Result<Tensor> tensor =
      TensorOf(value, model.outputs[*index].datatype, Sharing::kShare, allocator);
  if (!tensor.ok()) {
    const Status& status = tensor.status();
    SetBackendError(
        {status.code() == Code::kInvalidArgument ? Code::kInternal : status.code(),
         Concat("output '", *text, "' of model '", model.name, "': ", status.message())});
    return false;
  }
  answer.outputs.emplace_back(*index, *std::move(tensor));
  return true;
}

bool AddParameters(const ModelDefinition& model, PyObject* mapping, Answer& answer) {
  if (mapping == nullptr || mapping == Py_None) return true;
  const Reference items = ItemsOf(mapping);
  if (!items) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    Result<Parameter> parameter = ParameterOf(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    if (!parameter.ok()) {
      SetBackendError(Internal(
          Concat("an answer of model '", model.name, "': ", parameter.status().message())));
      return false;
    }
    answer.parameters.push_back(*std::move(parameter));
  }
  return true;
}

}  // namespace

std::optional<Answer> AnswerOf(const ModelDefinition& model, Allocator& allocator,
                               PyObject* outputs) {
  const Reference items = ItemsOf(outputs);
  if (!items) return std::nullopt;
  Answer answer;
  const Py_ssize_t size = PyList_GET_SIZE(items.get());
  answer.outputs.reserve(static_cast<size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* pair = PyList_GET_ITEM(items.get(), i);
    if (!AddOutput(model, allocator, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1),
                   answer)) {
      return std::nullopt;
    }
  }
  return answer;
}

std::optional<Answer> AnswerOf(const ModelDefinition& model, Allocator& allocator,
                               PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  const auto sorted = Sorted(arguments, count, keywords);
  if (!sorted) return std::nullopt;
  auto answer = AnswerOf(model, allocator, (*sorted)[0]);
  if (!answer || !AddParameters(model, (*sorted)[1], *answer)) return std::nullopt;
  return answer;
}

}  // namespace despina::bindings
