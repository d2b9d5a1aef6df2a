#include "engine/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

namespace despina {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr double kQuantiles[] = {0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0};

// The least of the values that is not exceeded by that share of them.
uint64_t Exact(std::vector<uint64_t> values, double quantile) {
  std::ranges::sort(values);
  const auto rank = static_cast<size_t>(std::ceil(quantile * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

// As the header promises: 1/64, and below 64 µs nothing.
double Bound(uint64_t exact) { return exact < 64 ? 0 : static_cast<double>(exact) / 64; }

void ExpectNear(const std::vector<std::optional<double>>& found,
                const std::vector<uint64_t>& values) {
  for (size_t i = 0; i < std::size(kQuantiles); ++i) {
    const uint64_t exact = Exact(values, kQuantiles[i]);
    ASSERT_TRUE(found[i]);
    EXPECT_NEAR(*found[i], static_cast<double>(exact), Bound(exact)) << kQuantiles[i];
  }
}

TEST(SummaryBucketsTest, TheMiddleOfEachBucketIsNearAllThatFallsIntoIt) {
  for (uint64_t value = 0; value < SummaryBuckets::kMost; value += 1 + value / 97) {
    const size_t bucket = SummaryBuckets::Of(value);
    ASSERT_LT(bucket, SummaryBuckets::kCount);
    ASSERT_NEAR(SummaryBuckets::Value(bucket), static_cast<double>(value), Bound(value)) << value;
  }
}

TEST(SummaryBucketsTest, BucketsAscendAndTheLastTakesWhateverIsLonger) {
  for (size_t bucket = 1; bucket < SummaryBuckets::kCount; ++bucket) {
    ASSERT_GT(SummaryBuckets::Value(bucket), SummaryBuckets::Value(bucket - 1));
  }
  EXPECT_EQ(SummaryBuckets::Of(SummaryBuckets::kMost), SummaryBuckets::kCount - 1);
  EXPECT_EQ(SummaryBuckets::Of(UINT64_MAX), SummaryBuckets::kCount - 1);
}

TEST(LatencySummariesTest, QuantilesOfRandomTimesAreWithinTheErrorThatIsPromised) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937_64 random(seed);
    // From microseconds to minutes; sometimes a few values, sometimes many equal ones.
    std::lognormal_distribution<double> spread(4 + seed % 8, 0.1 + seed % 5);
    const size_t count = 1 + random() % (seed % 3 == 0 ? 10 : 5000);
    ManualClock clock;
    LatencySummaries summaries;
    std::vector<uint64_t> values[kLatencyParts];
    for (size_t i = 0; i < count; ++i) {
      uint64_t drawn[kLatencyParts];
      for (size_t part = 0; part < kLatencyParts; ++part) {
        drawn[part] = static_cast<uint64_t>(std::min(spread(random), 4e9));
        values[part].push_back(drawn[part]);
      }
      summaries.Observe(clock.Now(), microseconds(drawn[0]),
                        {microseconds(drawn[1]), microseconds(drawn[2]), microseconds(drawn[3]),
                         microseconds(drawn[4])});
      // All of it stays within the window.
      if (i % 100 == 0) clock.Advance(Duration(seconds(40)) / 50);
    }
    const LatencyQuantiles found = summaries.Quantiles(clock.Now(), kQuantiles);
    for (size_t part = 0; part < kLatencyParts; ++part) ExpectNear(found[part], values[part]);
  }
}

TEST(LatencySummariesTest, TimesAreCutToMicrosecondsAndNoneIsNegative) {
  LatencySummaries summaries;
  summaries.Observe({}, Duration(1999), {Duration(-5), Duration(0), Duration(999), Duration(1000)});
  const double half[] = {0.5};
  const LatencyQuantiles found = summaries.Quantiles({}, half);
  EXPECT_EQ(found[0][0], 1);
  EXPECT_EQ(found[1][0], 0);
  EXPECT_EQ(found[3][0], 0);
  EXPECT_EQ(found[4][0], 1);
}

// What was observed at `at` counts until 48 seconds later for sure, and not after 60.
TEST(LatencySummariesTest, ForgetsWhatIsOlderThanTheWindow) {
  for (const Duration at : {Duration(0), Duration(seconds(11)), Duration(seconds(100))}) {
    ManualClock clock;
    clock.Advance(at);
    LatencySummaries summaries;
    summaries.Observe(clock.Now(), microseconds(10), {});
    const double half[] = {0.5};
    clock.Advance(seconds(48));
    EXPECT_EQ(summaries.Quantiles(clock.Now(), half)[0][0], 10);
    clock.Advance(seconds(12));
    EXPECT_EQ(summaries.Quantiles(clock.Now(), half)[0][0], std::nullopt);
    // A slice that is used again has nothing left of its former time.
    summaries.Observe(clock.Now(), microseconds(20), {});
    EXPECT_EQ(summaries.Quantiles(clock.Now(), half)[0][0], 20);
  }
}

TEST(LatencySummariesTest, AgreesWithTheTimesOfTheWindowWhileItMoves) {
  std::mt19937_64 random(7);
  ManualClock clock;
  LatencySummaries summaries;
  std::vector<std::pair<int64_t, uint64_t>> observed;
  for (int i = 0; i < 4000; ++i) {
    clock.Advance(Duration(random() % 200'000'000));
    const uint64_t value = random() % 100'000;
    const int64_t slice = clock.Now().time_since_epoch() / LatencySummaries::kSliceTime;
    observed.emplace_back(slice, value);
    summaries.Observe(clock.Now(), microseconds(value), {});
    if (i % 100 != 99) continue;
    std::vector<uint64_t> inside;
    for (const auto& [at, each] : observed) {
      if (at > slice - static_cast<int64_t>(LatencySummaries::kSlices)) inside.push_back(each);
    }
    ExpectNear(summaries.Quantiles(clock.Now(), kQuantiles)[0], inside);
  }
}

}  // namespace
}  // namespace despina
