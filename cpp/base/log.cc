#include "base/log.h"

#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>

namespace despina::log {
namespace {

constexpr std::string_view kLetters = "EWIV";

std::array<std::atomic<bool>, 4>& Switches() {
  static std::array<std::atomic<bool>, 4> switches{true, true, true, false};
  return switches;
}

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string Prefix(Level level) {
  timeval now{};
  gettimeofday(&now, nullptr);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%c%02d%02d %02d:%02d:%02d.%06ld %d ",
                kLetters[static_cast<size_t>(level)], local.tm_mon + 1, local.tm_mday,
                local.tm_hour, local.tm_min, local.tm_sec, static_cast<long>(now.tv_usec),
                static_cast<int>(getpid()));
  return text.data();
}

}  // namespace

bool Enabled(Level level) {
  return Switches()[static_cast<size_t>(level)].load(std::memory_order_relaxed);
}

void Enable(Level level, bool enabled) {
  Switches()[static_cast<size_t>(level)].store(enabled, std::memory_order_relaxed);
}

std::string Escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> code{};
      std::snprintf(code.data(), code.size(), "\\x%02x", byte);
      out += code.data();
    } else {
      out += c;
    }
  }
  return out;
}

void Write(Level level, std::string_view text, std::string_view file, unsigned line) {
  if (!Enabled(level)) return;
  std::string out = Prefix(level);
  out += BaseName(file);
  out += ':';
  out += std::to_string(line);
  out += "] ";
  out += Escaped(text);
  out += '\n';
  // A log that cannot be written to is no reason to stop serving.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, out.data(), out.size());
}

}  // namespace despina::log
