// Quantiles of the times of requests within the last minute.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "engine/execution_times.h"

namespace despina {

// Of a time in microseconds, the number of a bucket and back. Times below 32 µs have a bucket each;
// above, a power of two is cut into 32 buckets, so that the middle of one is at most 1/64 off.
struct SummaryBuckets {
  static constexpr unsigned kBits = 5;
  static constexpr uint64_t kExact = uint64_t{1} << kBits;
  // 2^32 µs, or 71 minutes, and whatever is longer.
  static constexpr uint64_t kMost = (uint64_t{1} << 32) - 1;
  static constexpr size_t kCount = kExact * (32 - kBits + 1);

  static size_t Of(uint64_t microseconds) {
    if (microseconds < kExact) return microseconds;
    if (microseconds > kMost) microseconds = kMost;
    const auto shift = static_cast<unsigned>(std::bit_width(microseconds)) - kBits - 1;
    return (size_t{shift} << kBits) + (microseconds >> shift);
  }
  // The middle of a bucket.
  static double Value(size_t bucket);
};

enum class LatencyPart : uint8_t { kRequest, kQueue, kComputeInput, kComputeInfer, kComputeOutput };
inline constexpr size_t kLatencyParts = 5;

// By part, and there by the quantiles asked for; nothing where there was no request in the window.
using LatencyQuantiles = std::array<std::vector<std::optional<double>>, kLatencyParts>;

// One thread at a time. Observing allocates nothing and takes as long however much there was: a
// time is counted in a bucket of the slice of time that it falls into. Five slices of 12 seconds
// make the window, the last of which is being filled: it reaches back 48 to 60 seconds.
class LatencySummaries {
 public:
  static constexpr size_t kSlices = 5;
  static constexpr Duration kSliceTime = std::chrono::seconds(12);

  LatencySummaries() : slices_(kSlices) {}

  void Observe(TimePoint now, Duration whole, const ExecutionTimes& times);
  // The least time that is not exceeded by that share of the requests, in microseconds.
  LatencyQuantiles Quantiles(TimePoint now, std::span<const double> quantiles) const;

 private:
  struct Slice {
    // Of kSliceTime, since the clock's beginning.
    int64_t number = -1;
    uint64_t count = 0;
    std::array<std::array<uint32_t, SummaryBuckets::kCount>, kLatencyParts> buckets{};
  };

  Slice& SliceAt(int64_t number);

  std::vector<Slice> slices_;
};

}  // namespace despina
