#include "base/host_load.h"

#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>

namespace despina {
namespace {

constexpr uint64_t kBytesPerKibibyte = 1024;

std::string FileText(const char* path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Cuts the next number off, and what is before it.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_of("0123456789"), text.size()));
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

// The rest of the line that begins so.
std::string_view Line(std::string_view text, std::string_view start) {
  size_t at = text.starts_with(start) ? 0 : text.find("\n" + std::string(start));
  if (at == std::string_view::npos) return {};
  if (at > 0) ++at;
  const std::string_view rest = text.substr(at + start.size());
  return rest.substr(0, rest.find('\n'));
}

std::optional<uint64_t> Kibibytes(std::string_view text, std::string_view name) {
  std::string_view line = Line(text, name);
  const std::optional<uint64_t> number = TakeNumber(line);
  if (!number) return std::nullopt;
  return *number * kBytesPerKibibyte;
}

}  // namespace

std::optional<CpuTicks> ParseCpuTicks(std::string_view stat) {
  std::string_view line = Line(stat, "cpu ");
  // user nice system idle iowait irq softirq steal; guests are counted in user.
  constexpr size_t kIdle = 3;
  constexpr size_t kWaiting = 4;
  std::array<uint64_t, 8> ticks{};
  CpuTicks sums;
  for (size_t i = 0; i < ticks.size(); ++i) {
    const std::optional<uint64_t> number = TakeNumber(line);
    if (!number && i <= kIdle) return std::nullopt;
    ticks[i] = number.value_or(0);
    sums.all += ticks[i];
  }
  sums.busy = sums.all - ticks[kIdle] - ticks[kWaiting];
  return sums;
}

std::optional<HostMemory> ParseMemory(std::string_view meminfo) {
  const std::optional<uint64_t> total = Kibibytes(meminfo, "MemTotal:");
  const std::optional<uint64_t> available = Kibibytes(meminfo, "MemAvailable:");
  if (!total || !available || *available > *total) return std::nullopt;
  return HostMemory{.total_bytes = *total, .used_bytes = *total - *available};
}

HostLoadMeter::HostLoadMeter(Clock& clock, Duration interval)
    : clock_(clock),
      interval_(interval),
      ticks_(ParseCpuTicks(FileText("/proc/stat")).value_or(CpuTicks())),
      read_at_(clock.Now()) {}

std::optional<HostLoad> HostLoadMeter::Read() {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_.Now();
  if (load_ && now - read_at_ < interval_) return load_;
  const std::optional<CpuTicks> ticks = ParseCpuTicks(FileText("/proc/stat"));
  const std::optional<HostMemory> memory = ParseMemory(FileText("/proc/meminfo"));
  if (!ticks || !memory) return std::nullopt;
  const double utilization = load_ ? load_->cpu_utilization : 0;
  load_ = HostLoad{.cpu_utilization = utilization, .memory = *memory};
  // A tick is 10 ms: between two readings there may have been none.
  if (ticks->all > ticks_.all) {
    load_->cpu_utilization = static_cast<double>(ticks->busy - ticks_.busy) /
                             static_cast<double>(ticks->all - ticks_.all);
    ticks_ = *ticks;
  }
  read_at_ = now;
  return load_;
}

}  // namespace despina
