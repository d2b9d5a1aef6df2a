#include "base/log_line.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <optional>

#include "base/text.h"

namespace despina::log {
namespace {

constexpr std::string_view kLetters = "EWIV";
constexpr std::array<std::string_view, 4> kNames = {"error", "warning", "info", "verbose"};

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string TimeText(const Entry& entry, const char* format) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(entry.time);
  tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &utc)};
}

std::string Microseconds(const Entry& entry) {
  const auto since = entry.time.time_since_epoch() % std::chrono::seconds(1);
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), ".%06u",
                static_cast<unsigned>(since.count()) % 1'000'000);
  return text.data();
}

std::string JsonLine(const Entry& entry) {
  std::string out = Concat(
      R"({"time":")", TimeText(entry, "%Y-%m-%dT%H:%M:%S"), Microseconds(entry), R"(Z","level":")",
      kNames[static_cast<size_t>(entry.level)], R"(","process":)", entry.process, R"(,"file":)");
  AppendQuoted(out, BaseName(entry.file));
  out += Concat(R"(,"line":)", entry.line, R"(,"message":)");
  AppendQuoted(out, entry.text);
  for (const auto& [key, value] : entry.fields) {
    out += Concat(",\"", key, "\":");
    AppendQuoted(out, value);
  }
  return out + "}\n";
}

// The first character of a text that is not empty, and its size in bytes; nothing for what is not
// UTF-8.
std::optional<std::pair<char32_t, size_t>> FirstCharacter(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return std::pair{char32_t{first}, size_t{1}};
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return std::nullopt;
  char32_t character = first & (0xffU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return std::nullopt;
    character = (character << 6U) | (byte(i) & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  if (character < kLeast[size] || character > 0x10ffff || surrogate) return std::nullopt;
  return std::pair{character, size};
}

// Whether a character is seen as itself and as nothing else.
bool Harmless(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return first <= c && c <= last; };
  return c >= 0x20 && !within(0x7f, 0x9f) &&
         // Directions, joiners and separators.
         c != 0x61c && !within(0x200b, 0x200f) && !within(0x2028, 0x202e) &&
         !within(0x2060, 0x206f) && c != 0xfeff && !within(0xfff9, 0xfffb) &&
         !within(0xe0000, 0xe007f);
}

void AppendEscaped(std::string& out, char32_t character) {
  std::array<char, 16> text{};
  if (character == '\n') {
    out += "\\n";
  } else if (character == '\t') {
    out += "\\t";
  } else if (character == '\r') {
    out += "\\r";
  } else if (character <= 0xffff) {
    std::snprintf(text.data(), text.size(), "\\u%04x", static_cast<unsigned>(character));
  } else {
    const unsigned rest = static_cast<unsigned>(character) - 0x10000;
    std::snprintf(text.data(), text.size(), "\\u%04x\\u%04x", 0xd800 + (rest >> 10U),
                  0xdc00 + (rest & 0x3ffU));
  }
  out += text.data();
}

}  // namespace

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto found = FirstCharacter(text);
    const size_t size = found ? found->second : 1;
    if (!found) {
      out += "\\ufffd";
    } else if (!Harmless(found->first)) {
      AppendEscaped(out, found->first);
    } else {
      if (found->first == '"' || found->first == '\\') out += '\\';
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  out += '"';
}

std::string LineOf(const Entry& entry, Format format) {
  if (format == Format::kJson) return JsonLine(entry);
  const char letter = kLetters[static_cast<size_t>(entry.level)];
  std::string out = format == Format::kIso8601
                        ? Concat(TimeText(entry, "%Y-%m-%dT%H:%M:%SZ"), ' ', letter)
                        : Concat(letter, TimeText(entry, "%m%d %H:%M:%S"), Microseconds(entry));
  out += Concat(' ', entry.process, ' ', BaseName(entry.file), ':', entry.line, "] ");
  AppendQuoted(out, entry.text);
  for (const auto& [key, value] : entry.fields) {
    out += Concat(' ', key, '=');
    AppendQuoted(out, value);
  }
  return out + '\n';
}

}  // namespace despina::log
