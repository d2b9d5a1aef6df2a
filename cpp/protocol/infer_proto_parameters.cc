#include "protocol/infer_proto_parameters.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "base/text.h"

namespace despina::protocol {
namespace {

constexpr std::string_view kEmptyFinalResponse = "triton_enable_empty_final_response";

Status WrongType(std::string_view name, std::string_view expected) {
  return InvalidArgument(
      Concat("invalid value type for '", name, "' parameter, expected ", expected, "."));
}

Status CheckNotNegative(std::string_view name, int64_t value) {
  if (value >= 0) return Ok();
  return InvalidArgument(Concat("invalid value for '", name, "', expected value >= 0."));
}

Status CheckReserved(const ProtoParameter& parameter, ReservedParameter kind) {
  const auto& [name, value] = parameter;
  const auto* const integer = std::get_if<int64_t>(&value);
  switch (kind) {
    case ReservedParameter::kSequenceId:
      // All 64 bits of a number count: clients have those of a hash as a negative one.
      if (integer != nullptr || std::holds_alternative<std::string_view>(value)) return Ok();
      return WrongType(name, "int64_param or string_param");
    case ReservedParameter::kFlag:
      if (std::holds_alternative<bool>(value)) return Ok();
      return WrongType(name, "bool_param");
    case ReservedParameter::kPriority:
      if (integer != nullptr) return CheckNotNegative(name, *integer);
      if (std::holds_alternative<uint64_t>(value)) return Ok();
      return WrongType(name, "int64_param or uint64_param");
    case ReservedParameter::kTimeout:
      if (integer != nullptr) return CheckNotNegative(name, *integer);
      return WrongType(name, "int64_param");
  }
  return Internal("unknown reserved parameter");
}

Status AddServerParameter(const ProtoParameter& parameter, InferParameters& out) {
  if (parameter.name != kEmptyFinalResponse) {
    return InvalidArgument(
        Concat("parameter keys starting with 'triton_' are reserved for Triton usage. Only the "
               "following keys starting with 'triton_' are allowed: ",
               kEmptyFinalResponse));
  }
  const auto* const enable = std::get_if<bool>(&parameter.value);
  if (enable == nullptr) return WrongType(parameter.name, "bool_param");
  out.enable_empty_final_response = *enable;
  return Ok();
}

// A value of a message InferParameter; what stands last counts.
void ReadValue(std::string_view message, ProtoParameter& out) {
  enum Field { kBool = 1, kInt64, kString, kDouble, kUint64 };
  for (ProtoReader reader(message); reader.Next();) {
    switch (reader.field()) {
      case kBool:
        out.value = reader.Bool();
        break;
      case kInt64:
        out.value = reader.Int64();
        break;
      case kString:
        out.value = reader.String();
        break;
      case kDouble:
        out.value = reader.Double();
        break;
      case kUint64:
        out.value = reader.Uint64();
        break;
      default:
        reader.Skip();
    }
  }
}

}  // namespace

ProtoParameter ReadProtoParameter(std::string_view entry) {
  enum Field { kKey = 1, kValue };
  ProtoParameter parameter;
  for (ProtoReader reader(entry); reader.Next();) {
    switch (reader.field()) {
      case kKey:
        parameter.name = reader.String();
        break;
      case kValue:
        ReadValue(reader.Bytes(), parameter);
        break;
      default:
        reader.Skip();
    }
  }
  return parameter;
}

Status AddProtoParameter(const ProtoParameter& parameter, InferParameters& out) {
  const auto& [name, value] = parameter;
  if (IsServerParameter(name)) return AddServerParameter(parameter, out);
  if (const auto reserved = FindReservedParameter(name)) return CheckReserved(parameter, *reserved);
  Parameter custom{.name = std::string(name), .value = false};
  if (const auto* const truth = std::get_if<bool>(&value)) {
    custom.value = *truth;
  } else if (const auto* const integer = std::get_if<int64_t>(&value)) {
    custom.value = *integer;
  } else if (const auto* const text = std::get_if<std::string_view>(&value)) {
    custom.value = std::string(*text);
  } else if (const auto* const number = std::get_if<double>(&value)) {
    custom.value = *number;
  } else {
    return WrongType(name, "int64_param, bool_param, double_param, or string_param");
  }
  out.custom.push_back(std::move(custom));
  return Ok();
}

void KeepLastOfEachName(std::vector<Parameter>& parameters) {
  // Sorted rather than hashed: names from outside can be made to collide.
  std::ranges::stable_sort(parameters, {}, &Parameter::name);
  // Of equals unique() keeps the first, which from behind is the last.
  const auto last = std::unique(
      parameters.rbegin(), parameters.rend(),
      [](const Parameter& one, const Parameter& other) { return one.name == other.name; });
  parameters.erase(parameters.begin(), last.base());
}

void ProtoTensorParameters::Add(const ProtoParameter& parameter) {
  constexpr std::string_view kNames[kCount] = {"shared_memory_region", "shared_memory_offset",
                                               "shared_memory_byte_size", "classification"};
  const auto* const name = std::ranges::find(kNames, parameter.name);
  if (name != std::end(kNames)) known_[name - kNames] = parameter;
}

Result<SharedPlace> ProtoTensorParameters::Place(std::string_view tensor,
                                                 const SharedRegions& regions) const {
  const auto of_tensor = [&](std::string_view text) {
    return InvalidArgument(Concat(text, " parameter for tensor '", tensor, "'"));
  };
  const auto wrong_type = [&](const ProtoParameter& parameter, std::string_view expected) {
    return InvalidArgument(Concat("invalid value type for '", parameter.name,
                                  "' parameter for tensor '", tensor, "', expected ", expected,
                                  "."));
  };
  const auto& region = known_[kRegion];
  for (const Known number : {kOffset, kSize}) {
    const auto& parameter = known_[number];
    if (!parameter) continue;
    if (!region) {
      return of_tensor(
          Concat("'", parameter->name, "' can not be specified without 'shared_memory_region'"));
    }
    if (!std::holds_alternative<int64_t>(parameter->value)) {
      return wrong_type(*parameter, "int64_param");
    }
  }
  if (!region) return SharedPlace();
  const auto* const name = std::get_if<std::string_view>(&region->value);
  if (name == nullptr) return wrong_type(*region, "string_param");
  if (!known_[kSize]) {
    return of_tensor(
        "'shared_memory_byte_size' must be specified along with 'shared_memory_region'");
  }
  // Negative ones become numbers that no region has room for.
  const auto number = [&](Known known) {
    return known_[known] ? static_cast<uint64_t>(std::get<int64_t>(known_[known]->value)) : 0;
  };
  return FindPlace(regions, *name, number(kOffset), number(kSize));
}

Result<uint32_t> ProtoTensorParameters::Classification() const {
  const auto& parameter = known_[kClassification];
  if (!parameter) return uint32_t{0};
  const auto* const count = std::get_if<int64_t>(&parameter->value);
  if (count == nullptr) return WrongType(parameter->name, "int64_param");
  if (*count <= 0) {
    return InvalidArgument("invalid value for 'classification' parameter, expected > 0");
  }
  // More than there are is the same as all.
  return static_cast<uint32_t>(std::min<int64_t>(*count, std::numeric_limits<uint32_t>::max()));
}

}  // namespace despina::protocol
