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

// An output that the author named.
struct Named {
  uint32_t index;
  DataType datatype;
  PyObject* value;  // the mapping's items hold it
};

// The places of all outputs in the model.
std::optional<std::vector<Named>> FindOutputs(const FindAnswered& find, PyObject* items) {
  const auto answered = find();
  if (!answered) return std::nullopt;
  const ModelDefinition& model = answered->model;
  std::vector<Named> found;
  found.reserve(static_cast<size_t>(PyList_GET_SIZE(items)));
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); ++i) {
    PyObject* pair = PyList_GET_ITEM(items, i);
    const auto name = TextView(PyTuple_GET_ITEM(pair, 0));
    const std::optional<uint32_t> index = name ? model.FindOutput(*name) : std::nullopt;
    if (!index) {
      SetBackendError(
          Internal(Concat("model '", model.name, "' has no output '", name.value_or("?"), "'")));
      return std::nullopt;
    }
    found.push_back({*index, model.outputs[*index].datatype, PyTuple_GET_ITEM(pair, 1)});
  }
  return found;
}

std::nullopt_t SetRefused(const ModelDefinition& model, uint32_t index, const Status& status) {
  SetBackendError({status.code() == Code::kInvalidArgument ? Code::kInternal : status.code(),
                   Concat("output '", model.outputs[index].name, "' of model '", model.name,
                          "': ", status.message())});
  return std::nullopt;
}

// Lets the author's objects lend what they hold; the engine's may go meanwhile.
std::optional<std::vector<LentArray>> LentBy(const FindAnswered& find,
                                             const std::vector<Named>& outputs) {
  std::vector<LentArray> arrays;
  arrays.reserve(outputs.size());
  for (const Named& each : outputs) {
    Result<LentArray> lent = Lent(each.value, each.datatype);
    if (!lent.ok()) {
      const auto answered = find();
      if (!answered) return std::nullopt;
      return SetRefused(answered->model, each.index, lent.status());
    }
    arrays.push_back(*std::move(lent));
  }
  return arrays;
}

bool AddAnswerParameters(const FindAnswered& find, PyObject* items, Answer& answer) {
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items); ++i) {
    PyObject* pair = PyList_GET_ITEM(items, i);
    Result<Parameter> parameter = ParameterOf(PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
    if (!parameter.ok()) {
      if (const auto answered = find()) {
        SetBackendError(Internal(Concat("an answer of model '", answered->model.name,
                                        "': ", parameter.status().message())));
      }
      return false;
    }
    answer.parameters.push_back(*std::move(parameter));
  }
  return true;
}

}  // namespace

std::optional<Answer> AnswerOf(const FindAnswered& find, PyObject* outputs) {
  const Reference items = ItemsOf(outputs);
  if (!items) return std::nullopt;
  const auto named = FindOutputs(find, items.get());
  if (!named) return std::nullopt;
  const auto arrays = LentBy(find, *named);
  if (!arrays) return std::nullopt;
  const auto answered = find();
  if (!answered) return std::nullopt;
  Answer answer;
  answer.outputs.reserve(named->size());
  for (size_t i = 0; i < named->size(); ++i) {
    const uint32_t index = (*named)[i].index;
    Result<Tensor> tensor = TensorOf((*arrays)[i], Sharing::kShare, answered->allocator);
    if (!tensor.ok()) return SetRefused(answered->model, index, tensor.status());
    answer.outputs.emplace_back(index, *std::move(tensor));
  }
  return answer;
}

std::optional<Answer> AnswerOf(const FindAnswered& find, PyObject* const* arguments,
                               Py_ssize_t count, PyObject* keywords) {
  const auto sorted = Sorted(arguments, count, keywords);
  if (!sorted) return std::nullopt;
  const auto [outputs, parameters] = *sorted;
  auto answer = AnswerOf(find, outputs);
  if (!answer || parameters == nullptr || parameters == Py_None) return answer;
  const Reference items = ItemsOf(parameters);
  if (!items || !AddAnswerParameters(find, items.get(), *answer)) return std::nullopt;
  return answer;
}

}  // namespace despina::bindings
