#include "frontend/access.h"

#include <algorithm>

#include "base/text.h"

namespace despina::frontend {
namespace {

// As operators write them, in the order of Api.
constexpr std::array<std::string_view, kApiCount> kNames = {
    "health",           "metadata",   "inference", "shared-memory", "model-config",
    "model-repository", "statistics", "trace",     "logging"};

// What a field's name is made of.
bool IsNameCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Whether a field can have it: blanks at its ends would be cut off.
bool IsValue(std::string_view value) {
  return !value.empty() && value.front() != ' ' && value.back() != ' ' &&
         std::ranges::all_of(value, [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

// Looks at every byte of `secret`, whatever is given.
bool IsSecret(std::string_view given, std::string_view secret) {
  auto different = static_cast<unsigned>(given.size() != secret.size());
  for (size_t i = 0; i < secret.size(); ++i) {
    const char other = i < given.size() ? given[i] : '\0';
    different |= static_cast<unsigned char>(other ^ secret[i]);
    // So that the compiler cannot leave the loop early.
    asm volatile("" : "+r"(different));
  }
  return different == 0;
}

}  // namespace

Status AccessRules::Restrict(std::string_view api, const std::string& header,
                             const std::string& value) {
  const auto* const known = std::ranges::find(kNames, api);
  if (known == kNames.end()) return InvalidArgument(Concat("unknown restricted api '", api, "'"));
  Field& required = required_[static_cast<size_t>(known - kNames.begin())];
  if (!required.name.empty()) {
    return InvalidArgument(
        Concat("restricted api '", api, "' can not be specified in multiple config groups"));
  }
  if (header.empty() || !std::ranges::all_of(header, IsNameCharacter)) {
    return InvalidArgument(Concat("'", header, "' is no name of a header"));
  }
  if (!IsValue(value)) {
    return InvalidArgument(Concat("no request can have this value of header '", header, "'"));
  }
  required = {.name = header, .value = value};
  return Ok();
}

void AccessRules::AddTo(FieldFilter& filter) const {
  for (const Field& each : required_) {
    if (!each.name.empty()) filter.Add(each.name);
  }
}

std::string_view AccessRules::Denied(Api api, std::span<const Field> fields) const {
  const auto index = static_cast<size_t>(api);
  // Of the metrics port, which has no restrictions.
  if (index >= required_.size() || required_[index].name.empty()) return {};
  const Field& required = required_[index];
  const auto given = std::ranges::find_if(
      fields, [&](const Field& each) { return IsSameName(each.name, required.name); });
  const bool allowed = given != fields.end() && IsSecret(given->value, required.value);
  return allowed ? std::string_view() : std::string_view(required.name);
}

}  // namespace despina::frontend
