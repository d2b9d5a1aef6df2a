#include "load/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace despina::load {
namespace {

constexpr double kShares[] = {0, 0.001, 0.5, 0.9, 0.95, 0.99, 0.999, 1};

Duration Sorted(std::vector<Duration> values, double share) {
  std::ranges::sort(values);
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

double RelativeError(Duration found, Duration exact) {
  if (found == exact) return 0;
  return std::abs(static_cast<double>((found - exact).count())) /
         static_cast<double>(exact.count());
}

TEST(Histogram, IsWithinOnePercentOfSorting) {
  std::mt19937_64 random(7);
  // From nanoseconds to an hour.
  std::lognormal_distribution<double> spread(12, 6);
  std::vector<Duration> values;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(Duration(static_cast<int64_t>(std::min(spread(random), 3.6e12))));
    histogram.Record(values.back());
  }
  for (const double share : kShares) {
    EXPECT_LE(RelativeError(histogram.Quantile(share), Sorted(values, share)), 0.01) << share;
  }
  EXPECT_EQ(histogram.least(), *std::ranges::min_element(values));
  EXPECT_EQ(histogram.greatest(), *std::ranges::max_element(values));
}

TEST(Histogram, IsWithinOnePercentForEachSingleSize) {
  for (int64_t value = 1; value < int64_t{1} << 42; value += value / 300 + 1) {
    Histogram histogram;
    histogram.Record(Duration(value));
    histogram.Record(Duration(value));
    // The greater one is exact; the median is that of its bucket.
    histogram.Record(Duration(3 * value));
    ASSERT_LE(RelativeError(histogram.Quantile(0.5), Duration(value)), 0.01) << value;
  }
}

TEST(Histogram, IsTheSameWhetherOneCountsOrSeveralDoAndAreAdded) {
  std::mt19937_64 random(11);
  std::exponential_distribution<double> spread(1e-6);
  Histogram whole;
  Histogram parts[3];
  for (int i = 0; i < 3000; ++i) {
    const Duration value(static_cast<int64_t>(spread(random)));
    whole.Record(value);
    parts[i % 3].Record(value);
  }
  Histogram sum;
  for (const Histogram& part : parts) sum.Add(part);
  sum.Add(Histogram());
  for (const double share : kShares) EXPECT_EQ(sum.Quantile(share), whole.Quantile(share));
  EXPECT_EQ(sum.count(), 3000U);
  EXPECT_EQ(sum.least(), whole.least());
  EXPECT_DOUBLE_EQ(sum.mean_nanoseconds(), whole.mean_nanoseconds());
}

TEST(Histogram, SaysZeroWhileItHasCountedNothing) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0U);
  EXPECT_EQ(empty.Quantile(0.99), Duration());
  EXPECT_EQ(empty.least(), Duration());
  EXPECT_EQ(empty.mean_nanoseconds(), 0);
}

TEST(Histogram, TakesWhatIsNegativeAndWhatIsBeyondIt) {
  Histogram histogram;
  histogram.Record(Duration(-5));
  histogram.Record(Duration::max());
  histogram.Record(Duration::max());
  EXPECT_EQ(histogram.least(), Duration());
  EXPECT_EQ(histogram.greatest(), Duration::max());
  EXPECT_GT(histogram.Quantile(0.5), std::chrono::hours(2));
}

}  // namespace
}  // namespace despina::load
