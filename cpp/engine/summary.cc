#include "engine/summary.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace despina {
namespace {

using Counts = std::array<uint64_t, SummaryBuckets::kCount>;

int64_t SliceNumber(TimePoint now) { return now.time_since_epoch() / LatencySummaries::kSliceTime; }

uint64_t Microseconds(Duration time) {
  return time.count() < 0 ? 0 : static_cast<uint64_t>(time.count()) / 1000;
}

double At(double quantile, const Counts& counts, uint64_t total) {
  const auto rank = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(total)));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
    seen += counts[bucket];
    if (seen > 0 && seen >= rank) return SummaryBuckets::Value(bucket);
  }
  return SummaryBuckets::Value(counts.size() - 1);
}

}  // namespace

double SummaryBuckets::Value(size_t bucket) {
  if (bucket < 2 * kExact) return static_cast<double>(bucket);
  const size_t shift = (bucket >> kBits) - 1;
  const uint64_t least = (bucket - (shift << kBits)) << shift;
  const uint64_t width = uint64_t{1} << shift;
  return static_cast<double>(least) + static_cast<double>(width - 1) / 2;
}

LatencySummaries::Slice& LatencySummaries::SliceAt(int64_t number) {
  Slice& slice = slices_[static_cast<size_t>(number) % kSlices];
  if (slice.number != number) {
    slice = {};
    slice.number = number;
  }
  return slice;
}

void LatencySummaries::Observe(TimePoint now, Duration whole, const ExecutionTimes& times) {
  Slice& slice = SliceAt(SliceNumber(now));
  ++slice.count;
  // In the order of LatencyPart.
  const Duration parts[kLatencyParts] = {whole, times.queue, times.compute_input,
                                         times.compute_infer, times.compute_output};
  for (size_t i = 0; i < kLatencyParts; ++i) {
    ++slice.buckets[i][SummaryBuckets::Of(Microseconds(parts[i]))];
  }
}

LatencyQuantiles LatencySummaries::Quantiles(TimePoint now,
                                             std::span<const double> quantiles) const {
  const int64_t newest = SliceNumber(now);
  LatencyQuantiles found;
  for (size_t part = 0; part < kLatencyParts; ++part) {
    Counts counts{};
    uint64_t total = 0;
    for (const Slice& slice : slices_) {
      if (slice.count == 0 || slice.number <= newest - static_cast<int64_t>(kSlices)) continue;
      total += slice.count;
      for (size_t i = 0; i < counts.size(); ++i) counts[i] += slice.buckets[part][i];
    }
    for (const double quantile : quantiles) {
      found[part].push_back(total > 0 ? std::optional(At(quantile, counts, total)) : std::nullopt);
    }
  }
  return found;
}

}  // namespace despina
