// The server's log: one line per call, written with one system call.
#pragma once

#include <atomic>
#include <source_location>
#include <string>
#include <string_view>

namespace despina::log {

enum class Level : int { kError = 0, kWarning = 1, kInfo = 2, kVerbose = 3 };

// Whether lines of this level are written. Errors, warnings and information are by default.
bool Enabled(Level level);
void Enable(Level level, bool enabled);

// Writes `I1123 17:49:00.123456 4711 file.cc:12] text` to standard error. Control characters in
// the text are escaped, so that nothing from outside can forge a line. Any thread.
void Write(Level level, std::string_view text, std::string_view file, unsigned line);

inline void Error(std::string_view text,
                  std::source_location at = std::source_location::current()) {
  Write(Level::kError, text, at.file_name(), at.line());
}
inline void Warning(std::string_view text,
                    std::source_location at = std::source_location::current()) {
  Write(Level::kWarning, text, at.file_name(), at.line());
}
inline void Info(std::string_view text, std::source_location at = std::source_location::current()) {
  Write(Level::kInfo, text, at.file_name(), at.line());
}
inline void Verbose(std::string_view text,
                    std::source_location at = std::source_location::current()) {
  Write(Level::kVerbose, text, at.file_name(), at.line());
}

// The text with control characters as \n, \t or \x1b; what is printable stays.
std::string Escaped(std::string_view text);

}  // namespace despina::log
