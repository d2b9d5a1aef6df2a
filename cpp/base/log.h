// The server's log: one line per call, written with one system call.
#pragma once

#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "base/log_line.h"
#include "base/status.h"

namespace despina::log {

// All functions: any thread.

// Whether lines of this level are written. Errors, warnings and information are by default.
bool Enabled(Level level);
void Enable(Level level, bool enabled);
// Of all lines from now on; kDefault by default.
void SetFormat(Format format);

// Lines go behind what is in the file, instead of to standard error; with an empty path, there
// again. INVALID_ARGUMENT: it cannot be opened, and nothing has changed.
Status OpenFile(const std::string& path);
// Opens the file again under its name, which may have been given to a new one meanwhile.
Status ReopenFile();

// Writes a line with these fields and those of the thread's subjects. Nothing in it that comes from
// outside can forge a line or drive a terminal.
void Write(Level level, std::string_view text, std::string_view file, unsigned line,
           std::span<const Field> fields = {});

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

// What the lines are about that the thread writes while this lives, whoever's code writes them.
// Costs two assignments unless there is a line. Subjects nest, the outer one's fields come first.
class Subject {
 public:
  Subject();
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  virtual void AddFields(Fields& fields) const = 0;

  // The fields of all subjects of the calling thread.
  static Fields OfThread();

 protected:
  ~Subject();

 private:
  void AddAll(Fields& fields) const;

  const Subject* const outer_;
};

}  // namespace despina::log
