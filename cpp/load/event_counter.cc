#include "load/event_counter.h"

#include <algorithm>
#include <string_view>

namespace despina::load {
namespace {

constexpr size_t kKeptOfLine = 1024;
constexpr std::string_view kData = "data:";
constexpr std::string_view kError = R"({"error":)";

}  // namespace

void EventCounter::Reset() { *this = EventCounter(); }

size_t EventCounter::Read(std::span<const std::byte> bytes) {
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ended_ = 0;
  while (true) {
    const size_t end = rest.find('\n');
    const std::string_view piece = rest.substr(0, end);
    line_.append(piece.substr(0, kKeptOfLine - std::min(kKeptOfLine, line_.size())));
    if (end == std::string_view::npos) return ended_;
    EndLine();
    rest.remove_prefix(end + 1);
  }
}

void EventCounter::EndLine() {
  std::string_view line = line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    ended_ += has_data_ ? 1 : 0;
    has_data_ = false;
  } else if (line.starts_with(kData)) {
    line.remove_prefix(kData.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (!line.starts_with(kError)) {
      has_data_ = true;
    } else if (error_.empty()) {
      error_ = line;
    }
  }
  line_.clear();
}

}  // namespace despina::load
