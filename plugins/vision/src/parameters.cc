#include "parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text.h"

namespace vision {

namespace {

// What the server itself reads, whatever the backend.
constexpr std::string_view kOfServer = "isolation";

std::optional<double> ReadDecimal(std::string_view text) {
  text = Trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool IsWholeNumber(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Parameters::Parameters(const despina::ModelSpec& spec, const std::vector<std::string>& names)
    : spec_(spec) {
  for (const auto& [name, value] : spec.parameters()) {
    if (name == kOfServer || std::find(names.begin(), names.end(), name) != names.end()) continue;
    throw Refusal(name,
                  "is not known; the nearest that is known is '" + Nearest(name, names) + "'");
  }
}

despina::Error Parameters::Refusal(std::string_view name, const std::string& problem) const {
  return despina::InvalidArgument("model '" + std::string(spec_.name()) + "': parameter '" +
                                  std::string(name) + "' " + problem);
}

size_t Parameters::Choice(std::string_view name, const std::vector<std::string>& words,
                          size_t otherwise) const {
  const auto given = spec_.parameter(name);
  if (!given) return otherwise;
  const std::string word(Trimmed(*given));
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) {
    throw Refusal(name, "is '" + word + "', not one of " + Joined(words));
  }
  return static_cast<size_t>(found - words.begin());
}

bool Parameters::Boolean(std::string_view name, bool otherwise) const {
  return Choice(name, {"true", "false"}, otherwise ? 0 : 1) == 0;
}

int64_t Parameters::Integer(std::string_view name, std::optional<int64_t> otherwise, int64_t least,
                            int64_t most) const {
  const auto given = spec_.parameter(name);
  if (!given) {
    if (!otherwise) throw Refusal(name, "is required");
    return *otherwise;
  }
  const std::string text(Trimmed(*given));
  if (!IsWholeNumber(text)) throw Refusal(name, "is '" + text + "', not a whole number");
  int64_t value = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  // Beyond all integers: the last one keeps to the bounds, or not, as it would.
  if (error == std::errc::result_out_of_range) value = text[0] == '-' ? -kUnbounded : kUnbounded;
  if (value < least || value > most) {
    const std::string bounds = most == kUnbounded
                                   ? "at least " + std::to_string(least)
                                   : std::to_string(least) + " to " + std::to_string(most);
    throw Refusal(name, "is " + text + ", it must be " + bounds);
  }
  return value;
}

double Parameters::Number(std::string_view name, double otherwise) const {
  return ReadAll(name, otherwise, 1, false).front();
}
double Parameters::PositiveNumber(std::string_view name, double otherwise) const {
  return ReadAll(name, otherwise, 1, true).front();
}
std::vector<double> Parameters::Numbers(std::string_view name, double otherwise,
                                        size_t count) const {
  return ReadAll(name, otherwise, count, false);
}
std::vector<double> Parameters::PositiveNumbers(std::string_view name, double otherwise,
                                                size_t count) const {
  return ReadAll(name, otherwise, count, true);
}

std::vector<double> Parameters::ReadAll(std::string_view name, double otherwise, size_t count,
                                        bool positive) const {
  const auto given = spec_.parameter(name);
  if (!given) return std::vector<double>(count, otherwise);
  std::vector<double> values;
  for (const std::string_view part : Split(*given, ',')) {
    values.push_back(Read(name, part, positive));
  }
  if (values.size() == 1) return std::vector<double>(count, values.front());
  if (values.size() != count) {
    throw Refusal(name, "has " + std::to_string(values.size()) + " numbers, it must have 1 or " +
                            std::to_string(count));
  }
  return values;
}

double Parameters::Read(std::string_view name, std::string_view text, bool positive) const {
  const size_t slash = text.find('/');
  const auto dividend = ReadDecimal(text.substr(0, slash));
  const auto divisor =
      slash == std::string_view::npos ? std::optional(1.0) : ReadDecimal(text.substr(slash + 1));
  const double value = dividend && divisor ? *dividend / *divisor : NAN;
  const std::string shown(Trimmed(text));
  if (!std::isfinite(value)) throw Refusal(name, "is '" + shown + "', not a finite number");
  if (positive && value <= 0) throw Refusal(name, "is " + shown + ", it must be greater than 0");
  return value;
}

}  // namespace vision
