// What the machine's processors and memory do, as Linux tells it.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace despina {

// Ticks since the machine was started, of all processors together.
struct CpuTicks {
  uint64_t busy = 0;
  uint64_t all = 0;
};

struct HostMemory {
  uint64_t total_bytes = 0;
  uint64_t used_bytes = 0;
};

// Of /proc/stat and /proc/meminfo; nothing where they do not say it.
std::optional<CpuTicks> ParseCpuTicks(std::string_view stat);
std::optional<HostMemory> ParseMemory(std::string_view meminfo);

struct HostLoad {
  // Share of the processors' time, from 0 to 1, between two readings.
  double cpu_utilization = 0;
  HostMemory memory;
};

// Any thread. Reads the two files when it is asked, at most once in an interval.
class HostLoadMeter {
 public:
  HostLoadMeter(Clock& clock, Duration interval);

  // Nothing on a system that does not say it.
  std::optional<HostLoad> Read();

 private:
  Clock& clock_;
  const Duration interval_;
  std::mutex mutex_;
  // Guarded by mutex_.
  CpuTicks ticks_;
  TimePoint read_at_{};
  std::optional<HostLoad> load_;
};

}  // namespace despina
