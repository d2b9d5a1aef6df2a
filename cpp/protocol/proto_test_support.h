// Protobuf messages put together by hand, to compare with what is written and to be read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace despina::protocol {

inline std::string VarintOf(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) out += static_cast<char>(value | 0x80U);
  return out + static_cast<char>(value);
}

// A field with a number.
inline std::string NumberField(uint32_t number, uint64_t value) {
  return VarintOf(number << 3U) + VarintOf(value);
}

// A field with a text, bytes or a message.
inline std::string BytesField(uint32_t number, std::string_view content) {
  return (VarintOf(number << 3U | 2U) + VarintOf(content.size())).append(content);
}

}  // namespace despina::protocol
