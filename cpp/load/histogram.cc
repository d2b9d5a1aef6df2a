#include "load/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace despina::load {

size_t Histogram::BucketOf(uint64_t nanoseconds) {
  // The first eight bits of a number say its bucket.
  const auto bits = static_cast<int>(std::bit_width(nanoseconds));
  const int shift = std::max(bits - kBitsOfBucket - 1, 0);
  const size_t bucket = (static_cast<size_t>(shift) << kBitsOfBucket) + (nanoseconds >> shift);
  return std::min(bucket, kBuckets - 1);
}

Duration Histogram::ValueOf(size_t bucket) {
  constexpr size_t kPerDoubling = size_t{1} << kBitsOfBucket;
  if (bucket < 2 * kPerDoubling) return Duration(bucket);
  const size_t shift = (bucket >> kBitsOfBucket) - 1;
  const uint64_t first = (kPerDoubling + bucket % kPerDoubling) << shift;
  return Duration(first + (uint64_t{1} << shift) / 2);
}

void Histogram::Record(Duration value) {
  value = std::max(value, Duration());
  ++buckets_[BucketOf(static_cast<uint64_t>(value.count()))];
  ++count_;
  least_ = std::min(least_, value);
  greatest_ = std::max(greatest_, value);
  sum_nanoseconds_ += static_cast<double>(value.count());
}

void Histogram::Add(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  least_ = std::min(least_, other.least_);
  greatest_ = std::max(greatest_, other.greatest_);
  sum_nanoseconds_ += other.sum_nanoseconds_;
}

double Histogram::mean_nanoseconds() const {
  return count_ > 0 ? sum_nanoseconds_ / static_cast<double>(count_) : 0;
}

Duration Histogram::Quantile(double share) const {
  if (count_ == 0) return {};
  const double rank = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const auto wanted = std::clamp<uint64_t>(static_cast<uint64_t>(rank), 1, count_);
  if (wanted == count_) return greatest_;
  uint64_t seen = 0;
  size_t bucket = 0;
  while ((seen += buckets_[bucket]) < wanted) ++bucket;
  return std::clamp(ValueOf(bucket), least_, greatest_);
}

}  // namespace despina::load
