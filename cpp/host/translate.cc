#include "host/translate.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <variant>

#include "base/text.h"

namespace despina::host {
namespace {

struct Pair {
  DataType engine;
  despina_datatype abi;
};
constexpr std::array<Pair, kDataTypes> kPairs = {{
    {DataType::kBool, {DESPINA_TYPE_BOOL, 8, 1}},
    {DataType::kUint8, {DESPINA_TYPE_UINT, 8, 1}},
    {DataType::kUint16, {DESPINA_TYPE_UINT, 16, 1}},
    {DataType::kUint32, {DESPINA_TYPE_UINT, 32, 1}},
    {DataType::kUint64, {DESPINA_TYPE_UINT, 64, 1}},
    {DataType::kInt8, {DESPINA_TYPE_INT, 8, 1}},
    {DataType::kInt16, {DESPINA_TYPE_INT, 16, 1}},
    {DataType::kInt32, {DESPINA_TYPE_INT, 32, 1}},
    {DataType::kInt64, {DESPINA_TYPE_INT, 64, 1}},
    {DataType::kFp16, {DESPINA_TYPE_FLOAT, 16, 1}},
    {DataType::kFp32, {DESPINA_TYPE_FLOAT, 32, 1}},
    {DataType::kFp64, {DESPINA_TYPE_FLOAT, 64, 1}},
    {DataType::kBytes, {DESPINA_TYPE_BYTES, 8 * sizeof(despina_str), 1}},
    {DataType::kBf16, {DESPINA_TYPE_BFLOAT, 16, 1}},
}};

}  // namespace

despina_datatype ToAbi(DataType datatype) { return kPairs[static_cast<size_t>(datatype)].abi; }

std::optional<DataType> FromAbi(despina_datatype datatype) {
  for (const Pair& pair : kPairs) {
    if (std::memcmp(&pair.abi, &datatype, sizeof datatype) == 0) return pair.engine;
  }
  return std::nullopt;
}

despina_tensor ToAbi(const Tensor& tensor) {
  return {.data = const_cast<std::byte*>(tensor.data.data()),
          .shape = tensor.shape.dims().data(),
          .ndim = static_cast<int32_t>(tensor.shape.rank()),
          .datatype = ToAbi(tensor.datatype),
          .device = kCpu,
          .byte_size = tensor.data.size()};
}

Result<Shape> ShapeOf(const int64_t* dims, int32_t ndim, std::string_view what) {
  if (ndim < 0 || static_cast<size_t>(ndim) > Shape::kMaxRank || (ndim > 0 && dims == nullptr)) {
    return InvalidArgument(
        Concat(what, " has ", ndim, " axes, from 0 to ", Shape::kMaxRank, " are possible"));
  }
  return Shape(std::span(dims, static_cast<size_t>(ndim)));
}

despina_parameter ToAbi(const Parameter& parameter) {
  despina_parameter out{};
  out.name = ToAbi(parameter.name);
  if (const auto* flag = std::get_if<bool>(&parameter.value)) {
    out.type = DESPINA_PARAMETER_BOOL;
    out.value.as_bool = *flag ? 1 : 0;
  } else if (const auto* number = std::get_if<int64_t>(&parameter.value)) {
    out.type = DESPINA_PARAMETER_INT;
    out.value.as_int = *number;
  } else if (const auto* real = std::get_if<double>(&parameter.value)) {
    out.type = DESPINA_PARAMETER_DOUBLE;
    out.value.as_double = *real;
  } else {
    out.type = DESPINA_PARAMETER_TEXT;
    out.value.as_text = ToAbi(std::get<std::string>(parameter.value));
  }
  return out;
}

Result<Parameter> FromAbi(const despina_parameter& parameter) {
  std::string name(View(parameter.name));
  switch (parameter.type) {
    case DESPINA_PARAMETER_BOOL:
      return Parameter{std::move(name), parameter.value.as_bool != 0};
    case DESPINA_PARAMETER_INT:
      return Parameter{std::move(name), parameter.value.as_int};
    case DESPINA_PARAMETER_DOUBLE:
      return Parameter{std::move(name), parameter.value.as_double};
    case DESPINA_PARAMETER_TEXT:
      return Parameter{std::move(name), std::string(View(parameter.value.as_text))};
    default:
      return InvalidArgument(
          Concat("parameter '", name, "' has type ", parameter.type, ", which there is not"));
  }
}

Code CodeOf(despina_code code) {
  switch (code) {
    case DESPINA_OK:
    case DESPINA_CANCELLED:
    case DESPINA_INVALID_ARGUMENT:
    case DESPINA_DEADLINE_EXCEEDED:
    case DESPINA_NOT_FOUND:
    case DESPINA_ALREADY_EXISTS:
    case DESPINA_RESOURCE_EXHAUSTED:
    case DESPINA_FAILED_PRECONDITION:
    case DESPINA_UNIMPLEMENTED:
    case DESPINA_INTERNAL:
    case DESPINA_UNAVAILABLE:
      return static_cast<Code>(code);
    default:
      return Code::kUnknown;
  }
}

Status StatusOf(despina_code code, const despina_error& error) {
  return StatusOf(code, {error.message, ::strnlen(error.message, sizeof error.message)});
}

Status StatusOf(despina_code code, despina_str message) {
  const std::string_view text = View(message);
  if (text.empty() && code != DESPINA_OK) {
    return {CodeOf(code), Concat("the backend gave code ", code, " and no reason")};
  }
  return {CodeOf(code), std::string(text)};
}

despina_code Report(const Status& status, despina_error* error) {
  const auto code = static_cast<despina_code>(status.code());
  if (error == nullptr || status.ok()) return code;
  const std::string_view text =
      std::string_view(status.message()).substr(0, sizeof error->message - 1);
  error->code = code;
  std::memcpy(error->message, text.data(), text.size());
  error->message[text.size()] = '\0';
  return code;
}

}  // namespace despina::host
