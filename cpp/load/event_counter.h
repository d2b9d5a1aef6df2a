// Events of an answer in parts (text/event-stream), as they come.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace despina::load {

// Counts events, and keeps no more of them than what an error says.
class EventCounter {
 public:
  void Reset();
  // The number of events that these bytes end, without those that tell an error.
  size_t Read(std::span<const std::byte> bytes);
  // The data of the first event that tells an error ({"error":...), as far as it is kept.
  const std::string& error() const { return error_; }

 private:
  void EndLine();

  // The beginning of a line that has not ended.
  std::string line_;
  std::string error_;
  bool has_data_ = false;
  size_t ended_ = 0;
};

}  // namespace despina::load
