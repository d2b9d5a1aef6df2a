// Fields of small messages, written as proto3 has it: without those that have their default.
#pragma once

#include <cstdint>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>

namespace despina::protocol {

inline void AddText(protozero::pbf_writer& message, uint32_t number, std::string_view text) {
  if (!text.empty()) message.add_string(number, text.data(), text.size());
}

inline void AddNumber(protozero::pbf_writer& message, uint32_t number, uint64_t value) {
  if (value != 0) message.add_uint64(number, value);
}

// The entry of a map, which always has both of its fields.
inline void AddMapEntry(protozero::pbf_writer& message, uint32_t number, std::string_view key,
                        const std::string& value) {
  std::string bytes;
  protozero::pbf_writer entry(bytes);
  entry.add_string(1, key.data(), key.size());
  entry.add_message(2, value);
  message.add_message(number, bytes);
}

}  // namespace despina::protocol
