#include "engine/trace_context.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <span>

namespace despina {
namespace {

// Nobody may guess anything by it, it only must not come twice.
uint64_t Random() {
  thread_local std::mt19937_64 engine{(uint64_t{std::random_device()()} << 32U) |
                                      std::random_device()()};
  return engine();
}

template <size_t kSize>
std::array<uint8_t, kSize> RandomBytes() {
  std::array<uint8_t, kSize> bytes{};
  for (size_t i = 0; i < kSize; i += sizeof(uint64_t)) {
    // All zero means that there is none.
    const uint64_t drawn = Random() | 1U;
    std::memcpy(bytes.data() + i, &drawn, sizeof drawn);
  }
  return bytes;
}

int Nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Lower-case hexadecimal digits, and not all zero where they name something.
bool Read(std::string_view text, std::span<uint8_t> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int high = Nibble(text[2 * i]);
    const int low = Nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

void Append(std::string& out, std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const uint8_t byte : bytes) {
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
}

bool AnySet(std::span<const uint8_t> bytes) {
  return std::ranges::any_of(bytes, [](uint8_t byte) { return byte != 0; });
}

}  // namespace

TraceId NewTraceId() { return RandomBytes<16>(); }
SpanId NewSpanId() { return RandomBytes<8>(); }

// version "-" trace "-" parent "-" flags; later versions may have more behind another dash.
std::optional<TraceParent> ParseTraceParent(std::string_view header) {
  constexpr size_t kSize = 55;
  if (header.size() < kSize || header[2] != '-' || header[35] != '-' || header[52] != '-') {
    return std::nullopt;
  }
  std::array<uint8_t, 1> version{};
  std::array<uint8_t, 1> flags{};
  TraceParent parent;
  if (!Read(header, version) || !Read(header.substr(3), parent.trace) ||
      !Read(header.substr(36), parent.span) || !Read(header.substr(53), flags)) {
    return std::nullopt;
  }
  const bool longer = header.size() > kSize;
  if (version[0] == 0xff || (longer && (version[0] == 0 || header[kSize] != '-')) ||
      !AnySet(parent.trace) || !AnySet(parent.span)) {
    return std::nullopt;
  }
  parent.sampled = (flags[0] & 1U) != 0;
  return parent;
}

std::string TraceParentText(const TraceParent& parent) {
  std::string out = "00-";
  Append(out, parent.trace);
  out += '-';
  Append(out, parent.span);
  out += parent.sampled ? "-01" : "-00";
  return out;
}

}  // namespace despina
