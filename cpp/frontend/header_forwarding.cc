#include "frontend/header_forwarding.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/text.h"
#include "base/utf8.h"

namespace despina::frontend {
namespace {

// Names that parameters of requests have a meaning for already.
constexpr std::array<std::string_view, 7> kReserved = {
    "sequence_id", "sequence_start", "sequence_end",      "priority",
    "timeout",     "headers",        "binary_data_output"};
constexpr std::string_view kReservedPrefix = "triton_";

bool IsReserved(std::string_view name) {
  return IsSameName(name.substr(0, kReservedPrefix.size()), kReservedPrefix) ||
         std::ranges::any_of(kReserved, [name](auto each) { return IsSameName(each, name); });
}

re2::RE2::Options AnyCase() {
  re2::RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  return options;
}

}  // namespace

HeaderForwarding::HeaderForwarding(const std::string& pattern)
    : pattern_(std::make_unique<re2::RE2>(pattern, AnyCase())) {}

HeaderForwarding::~HeaderForwarding() = default;

Result<std::shared_ptr<HeaderForwarding>> HeaderForwarding::Make(const std::string& pattern) {
  std::shared_ptr<HeaderForwarding> made(new HeaderForwarding(pattern));
  if (made->pattern_->ok()) return made;
  return InvalidArgument(
      Concat("'", pattern, "' is no regular expression: ", made->pattern_->error()));
}

Status HeaderForwarding::AddTo(std::vector<Parameter>& parameters,
                               std::span<const Field> fields) const {
  const size_t given = parameters.size();
  for (const Field& field : fields) {
    if (!re2::RE2::PartialMatch(field.name, *pattern_)) continue;
    if (Status status = Add(parameters, given, field); !status.ok()) return status;
  }
  return Ok();
}

Status HeaderForwarding::Add(std::vector<Parameter>& parameters, size_t given,
                             const Field& field) const {
  const std::string_view name = field.name;
  if (IsReserved(name)) {
    return InvalidArgument(
        Concat("header '", name, "' cannot be forwarded: parameters of this name are reserved"));
  }
  if (!IsUtf8(field.value)) {
    return InvalidArgument(Concat("header '", name, "' cannot be forwarded: it is not UTF-8"));
  }
  const auto same = std::ranges::find_if(
      parameters, [name](const Parameter& each) { return IsSameName(each.name, name); });
  if (same == parameters.end()) {
    parameters.push_back({.name = field.name, .value = field.value});
    return Ok();
  }
  if (static_cast<size_t>(same - parameters.begin()) < given) {
    return InvalidArgument(Concat("parameter '", same->name, "' is a header too"));
  }
  std::string& value = std::get<std::string>(same->value);
  value += ", ";
  value += field.value;
  return Ok();
}

}  // namespace despina::frontend
