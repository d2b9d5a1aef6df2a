// How a line of the log looks.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace despina::log {

enum class Level : int { kError = 0, kWarning = 1, kInfo = 2, kVerbose = 3 };

enum class Format : uint8_t {
  // I1123 17:49:00.123456 4711 file.cc:12] "text" model="m" request_id="7"
  kDefault,
  // 2026-11-23T17:49:00Z I 4711 file.cc:12] "text" model="m" request_id="7"
  kIso8601,
  // An object with time, level, process, file, line, message, and the fields.
  kJson,
};

// Keys are ours; values may be any text.
using Field = std::pair<std::string, std::string>;
using Fields = std::vector<Field>;

struct Entry {
  Level level = Level::kInfo;
  std::chrono::sys_time<std::chrono::microseconds> time;
  int process = 0;
  std::string_view file;
  unsigned line = 0;
  std::string_view text;
  std::span<const Field> fields;
};

// With its line end; times are in UTC.
std::string LineOf(const Entry& entry, Format format);

// The text as a JSON string with its quotes. What could forge a line or change what a reader sees
// is written out: control characters, also those of Latin 1, line and paragraph separators, and
// characters that change the direction of text. Bytes that are no UTF-8 become U+FFFD.
void AppendQuoted(std::string& out, std::string_view text);

}  // namespace despina::log
