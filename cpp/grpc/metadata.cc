#include "grpc/metadata.h"

#include <algorithm>
#include <charconv>

namespace despina::grpc {

using frontend::Coding;

namespace {

std::optional<Duration> UnitOf(char unit) {
  switch (unit) {
    case 'H':
      return std::chrono::hours(1);
    case 'M':
      return std::chrono::minutes(1);
    case 'S':
      return std::chrono::seconds(1);
    case 'm':
      return std::chrono::milliseconds(1);
    case 'u':
      return std::chrono::microseconds(1);
    case 'n':
      return std::chrono::nanoseconds(1);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<Duration> ParseTimeout(std::string_view value) {
  constexpr size_t kMostDigits = 8;
  if (value.size() < 2 || value.size() > kMostDigits + 1) return std::nullopt;
  const std::optional<Duration> unit = UnitOf(value.back());
  if (!unit) return std::nullopt;
  uint32_t number = 0;
  const char* const end = value.data() + value.size() - 1;
  const auto [rest, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  // 10^8 hours are more nanoseconds than there are.
  Duration::rep timeout = 0;
  if (__builtin_mul_overflow(unit->count(), Duration::rep{number}, &timeout)) {
    return Duration::max();
  }
  return Duration(timeout);
}

bool IsGrpc(std::string_view content_type) {
  constexpr std::string_view kGrpc = "application/grpc";
  if (!content_type.starts_with(kGrpc)) return false;
  content_type.remove_prefix(kGrpc.size());
  const std::string_view subtype = content_type.substr(0, content_type.find(';'));
  return subtype.empty() || subtype == "+proto";
}

std::optional<Coding> CodingNamed(std::string_view name) {
  if (name == "gzip") return Coding::kGzip;
  if (name == "deflate") return Coding::kDeflate;
  if (name == "identity") return Coding::kIdentity;
  return std::nullopt;
}

Coding AnswersCoding(std::string_view accept_encoding) {
  Coding best = Coding::kIdentity;
  while (!accept_encoding.empty()) {
    std::string_view name = accept_encoding.substr(0, accept_encoding.find(','));
    accept_encoding.remove_prefix(std::min(name.size() + 1, accept_encoding.size()));
    const size_t first = std::min(name.find_first_not_of(" \t"), name.size());
    name = name.substr(first, name.find_last_not_of(" \t") + 1 - first);
    const std::optional<Coding> coding = CodingNamed(name);
    if (coding == Coding::kGzip || best == Coding::kIdentity) best = coding.value_or(best);
  }
  return best;
}

std::string PercentEncoded(std::string_view message) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr size_t kMost = 4096;
  std::string out;
  out.reserve(std::min(message.size(), kMost));
  for (const char c : message) {
    if (out.size() >= kMost) return out.append("...");
    if (c >= ' ' && c <= '~' && c != '%') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

}  // namespace despina::grpc
