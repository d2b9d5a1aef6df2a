#include "http/compression.h"

#include <algorithm>
#include <charconv>

#include "frontend/field.h"

namespace despina::http {
namespace {

using frontend::IsSameName;

std::string_view Trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

// Cuts off the text before the next separator, and that.
std::string_view TakeUntil(char separator, std::string_view& text) {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return Trimmed(part);
}

std::optional<Coding> CodingNamed(std::string_view name) {
  if (IsSameName(name, "gzip")) return Coding::kGzip;
  if (IsSameName(name, "deflate")) return Coding::kDeflate;
  if (IsSameName(name, "identity")) return Coding::kIdentity;
  return std::nullopt;
}

// Of what stands behind a coding's name: "q=0.5". 1 where there is nothing, 0 where it is no
// weight.
double Weight(std::string_view parameters) {
  if (parameters.empty()) return 1;
  while (!parameters.empty()) {
    std::string_view parameter = TakeUntil(';', parameters);
    if (!IsSameName(parameter.substr(0, 2), "q=")) continue;
    parameter.remove_prefix(2);
    double weight = 0;
    std::from_chars(parameter.data(), parameter.data() + parameter.size(), weight);
    return weight;
  }
  return 0;
}

}  // namespace

std::optional<Coding> ParseContentEncoding(std::string_view value) {
  return value.empty() ? Coding::kIdentity : CodingNamed(Trimmed(value));
}

Coding PreferredCoding(std::string_view accept_encoding) {
  Coding preferred = Coding::kIdentity;
  double greatest = 0;
  while (!accept_encoding.empty()) {
    std::string_view element = TakeUntil(',', accept_encoding);
    const std::optional<Coding> coding = CodingNamed(TakeUntil(';', element));
    const double weight = coding ? Weight(element) : 0;
    if (weight <= greatest) continue;
    greatest = weight;
    preferred = *coding;
  }
  return preferred;
}

}  // namespace despina::http
