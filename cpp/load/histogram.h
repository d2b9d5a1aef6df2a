// Durations counted by size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace despina::load {

// Of fixed size, whatever it counts: 128 buckets for each doubling, so that a quantile is within
// 0.4 % of the value that sorting would find. One thread.
class Histogram {
 public:
  // Nothing is negative; beyond two hours only the greatest and the sum are exact.
  void Record(Duration value);
  void Add(const Histogram& other);

  uint64_t count() const { return count_; }
  // All are zero while nothing was recorded.
  Duration least() const { return count_ > 0 ? least_ : Duration(); }
  Duration greatest() const { return greatest_; }
  double mean_nanoseconds() const;
  // What a share of the values, from 0 to 1, does not exceed.
  Duration Quantile(double share) const;

 private:
  static constexpr int kBitsOfBucket = 7;
  // Up to 2^43 ns.
  static constexpr int kGreatestBits = 43;
  static constexpr size_t kBuckets = size_t{kGreatestBits - kBitsOfBucket + 1} << kBitsOfBucket;

  static size_t BucketOf(uint64_t nanoseconds);
  // The middle of the bucket's values.
  static Duration ValueOf(size_t bucket);

  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  Duration least_ = Duration::max();
  Duration greatest_{};
  double sum_nanoseconds_ = 0;
};

}  // namespace despina::load
