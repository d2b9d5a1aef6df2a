#include "base/utf8.h"

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace despina {
namespace {

// Names and identifiers: most are, and the library has a fixed price that is higher than this.
constexpr size_t kShort = 64;

bool IsShortAscii(std::string_view text) {
  if (text.size() > kShort) return false;
  // Eight at a time, and not looked at before the end.
  uint64_t seen = 0;
  size_t at = 0;
  for (; text.size() - at >= sizeof seen; at += sizeof seen) {
    uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, sizeof eight);
    seen |= eight;
  }
  for (; at < text.size(); ++at) seen |= static_cast<uint8_t>(text[at]);
  return (seen & 0x8080808080808080U) == 0;
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
