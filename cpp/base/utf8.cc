#include "base/utf8.h"

#include <simdjson.h>

#include <cstdint>

namespace despina {

bool IsUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

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
