#include "protocol/infer_parameters.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace despina::protocol {
namespace {

struct Reserved {
  std::string_view name;
  ReservedParameter kind;
};

constexpr std::array<Reserved, 5> kReserved = {{{"sequence_id", ReservedParameter::kSequenceId},
                                                {"sequence_start", ReservedParameter::kFlag},
                                                {"sequence_end", ReservedParameter::kFlag},
                                                {"priority", ReservedParameter::kPriority},
                                                {"timeout", ReservedParameter::kTimeout}}};
// Reserved where it has a meaning, which is in JSON.
constexpr std::string_view kBinaryOutput = "binary_data_output";

Status CheckReserved(std::string_view name, ReservedParameter kind, const JsonValue& value) {
  if (kind == ReservedParameter::kFlag) return AsBool(name, value).status();
  if (kind == ReservedParameter::kSequenceId && value.is_string()) return Ok();
  return AsUnsigned(name, value).status();
}

Result<Parameter> Custom(std::string_view name, const JsonValue& value) {
  Parameter parameter{.name = std::string(name), .value = false};
  using Type = simdjson::dom::element_type;
  switch (value.type()) {
    case Type::BOOL:
      parameter.value = value.get_bool().value_unsafe();
      return parameter;
    case Type::INT64:
      parameter.value = value.get_int64().value_unsafe();
      return parameter;
    case Type::DOUBLE:
      parameter.value = value.get_double().value_unsafe();
      return parameter;
    case Type::STRING:
      parameter.value = std::string(value.get_string().value_unsafe());
      return parameter;
    case Type::UINT64:
      return InvalidArgument(Concat("parameter '", name, "' is out of range for 'int'."));
    default:
      return InvalidArgument(
          Concat("parameter '", name,
                 "' has invalid type. It should be either 'int', 'bool', or 'string'."));
  }
}

}  // namespace

std::optional<ReservedParameter> FindReservedParameter(std::string_view name) {
  const auto* const reserved = std::ranges::find(kReserved, name, &Reserved::name);
  if (reserved == kReserved.end()) return std::nullopt;
  return reserved->kind;
}

bool IsServerParameter(std::string_view name) { return name.starts_with("triton_"); }

Status ParseParameter(std::string_view name, const JsonValue& value, InferParameters& out) {
  if (IsServerParameter(name)) {
    return InvalidArgument(
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be "
        "specified.");
  }
  if (const auto reserved = FindReservedParameter(name)) {
    return CheckReserved(name, *reserved, value);
  }
  if (name == kBinaryOutput) {
    const Result<bool> binary = AsBool(name, value);
    if (binary.ok()) out.binary_data_output = *binary;
    return binary.status();
  }
  Result<Parameter> custom = Custom(name, value);
  if (!custom.ok()) return custom.status();
  out.custom.push_back(*std::move(custom));
  return Ok();
}

Status ParseParameters(const JsonValue& value, InferParameters& out) {
  const Result<JsonObject> object = AsObject("parameters", value);
  if (!object.ok()) return object.status();
  std::vector<std::string_view> names;
  for (const auto& [name, member] : *object) {
    if (Status status = ParseParameter(name, member, out); !status.ok()) return status;
    names.push_back(name);
  }
  // Sorted rather than hashed: names from outside can be made to collide.
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return Ok();
  return InvalidArgument(Concat("parameter '", *twice, "' is there twice"));
}

}  // namespace despina::protocol
