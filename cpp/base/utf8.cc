#include "base/utf8.h"

#include <simdjson.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace despina {
namespace {

// Names and identifiers: most are, and the library has a fixed price that is higher than this.
constexpr size_t kShort = 64;

bool IsShortAscii(std::string_view text) {
  return text.size() <= kShort &&
         std::ranges::all_of(text, [](char each) { return static_cast<uint8_t>(each) < 0x80; });
}

}  // namespace

bool IsUtf8(std::string_view text) {
  return IsShortAscii(text) || simdjson::validate_utf8(text.data(), text.size());
}

std::string ToUtf8(std::string_view text) {
  if (IsUtf8(text)) return std::string(text);
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string out;
  for (const char each : text) {
    if (static_cast<uint8_t>(each) < 0x80) {
      out += each;
    } else {
      out += kReplacement;
    }
  }
  return out;
}

}  // namespace despina
