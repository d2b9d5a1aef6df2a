#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/text.h"

namespace despina::log {
namespace {

struct State {
  std::array<std::atomic<bool>, 4> enabled{true, true, true, false};
  std::atomic<Format> format{Format::kDefault};
  // Where lines go. Once it is a file, the number stays: others are put in its place.
  std::atomic<int> descriptor{STDERR_FILENO};
  std::mutex mutex;
  // Guarded by mutex, as is every change of the descriptor.
  std::string path;
  int of_files = -1;
};

State& TheLog() {
  static State state;
  return state;
}

thread_local const Subject* current_subject = nullptr;

// Who is nearer to the line knows better: of two values for one key the last stays.
Fields LastOfEach(Fields all) {
  Fields fields;
  for (Field& each : all) {
    std::erase_if(fields, [&](const Field& other) { return other.first == each.first; });
    fields.push_back(std::move(each));
  }
  return fields;
}

// With the mutex held.
Status Open(State& log, const std::string& path) {
  const int opened = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (opened < 0) {
    return InvalidArgument(
        Concat("the log file '", path, "' cannot be opened: ", std::strerror(errno)));
  }
  if (log.of_files < 0) {
    log.of_files = opened;
  } else {
    // In one step: other threads write to it all the while.
    ::dup3(opened, log.of_files, O_CLOEXEC);
    ::close(opened);
  }
  log.path = path;
  log.descriptor = log.of_files;
  return Ok();
}

}  // namespace

bool Enabled(Level level) {
  return TheLog().enabled[static_cast<size_t>(level)].load(std::memory_order_relaxed);
}

void Enable(Level level, bool enabled) {
  TheLog().enabled[static_cast<size_t>(level)].store(enabled, std::memory_order_relaxed);
}

void SetFormat(Format format) { TheLog().format.store(format, std::memory_order_relaxed); }

Status OpenFile(const std::string& path) {
  State& log = TheLog();
  const std::lock_guard lock(log.mutex);
  if (!path.empty()) return Open(log, path);
  log.path.clear();
  log.descriptor = STDERR_FILENO;
  return Ok();
}

Status ReopenFile() {
  State& log = TheLog();
  const std::lock_guard lock(log.mutex);
  return log.path.empty() ? Ok() : Open(log, std::string(log.path));
}

void Write(Level level, std::string_view text, std::string_view file, unsigned line,
           std::span<const Field> fields) {
  if (!Enabled(level)) return;
  State& log = TheLog();
  Fields all = Subject::OfThread();
  all.insert(all.end(), fields.begin(), fields.end());
  all = LastOfEach(std::move(all));
  const auto now = std::chrono::system_clock::now();
  const std::string out = LineOf({.level = level,
                                  .time = std::chrono::floor<std::chrono::microseconds>(now),
                                  .process = static_cast<int>(getpid()),
                                  .file = file,
                                  .line = line,
                                  .text = text,
                                  .fields = all},
                                 log.format.load(std::memory_order_relaxed));
  // A log that cannot be written to is no reason to stop serving.
  [[maybe_unused]] const ssize_t written = ::write(log.descriptor, out.data(), out.size());
}

Subject::Subject() : outer_(current_subject) { current_subject = this; }
Subject::~Subject() { current_subject = outer_; }

Fields Subject::OfThread() {
  Fields fields;
  if (current_subject != nullptr) current_subject->AddAll(fields);
  return fields;
}

void Subject::AddAll(Fields& fields) const {
  if (outer_ != nullptr) outer_->AddAll(fields);
  AddFields(fields);
}

}  // namespace despina::log
