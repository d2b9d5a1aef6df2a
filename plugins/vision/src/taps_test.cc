#include "taps.h"

#include <gtest/gtest.h>

#include <numeric>

namespace vision {
namespace {

double SumOfWeights(const Taps& taps, size_t sample) {
  const float* weights = taps.weights_of(sample);
  return std::accumulate(weights, weights + taps.count, 0.0);
}

// What a sample is of an axis whose pixels have these values.
double Sampled(const Taps& taps, size_t sample, const std::vector<double>& pixels) {
  double sum = 0;
  for (int k = 0; k < taps.count; ++k) {
    sum += static_cast<double>(taps.weights_of(sample)[k]) *
           pixels[static_cast<size_t>(taps.first[sample]) + static_cast<size_t>(k)];
  }
  return sum;
}

class EachInterpolation : public ::testing::TestWithParam<Interpolation> {};
INSTANTIATE_TEST_SUITE_P(Taps, EachInterpolation,
                         ::testing::Values(Interpolation::kLinear, Interpolation::kCubic,
                                           Interpolation::kArea));

TEST_P(EachInterpolation, StaysOnTheAxisAndWeighsAllOfASample) {
  for (const int length : {1, 2, 3, 7, 100}) {
    for (const double step : {-3.7, -1.0, 0.3, 1.0, 2.0, 5.5, 200.0}) {
      const Taps taps = MakeTaps(-2.3, step, 9, length, GetParam());
      ASSERT_EQ(taps.samples(), 9U);
      const Range pixels = taps.pixels();
      EXPECT_GE(pixels.begin, 0);
      EXPECT_LE(pixels.end, length);
      for (size_t i = 0; i < 9; ++i) EXPECT_NEAR(SumOfWeights(taps, i), 1, 1e-5);
    }
  }
}

TEST_P(EachInterpolation, OfEqualStepsIsTheAxisItself) {
  const std::vector<double> pixels = {5, 9, 2, 200, 31};
  const Taps taps = MakeTaps(0, 1, 5, 5, GetParam());
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(Sampled(taps, i, pixels), pixels[i]);
}

TEST_P(EachInterpolation, RepeatsTheEdge) {
  const std::vector<double> pixels = {5, 9, 2, 200, 31};
  for (const double start : {-20.0, -1.0}) {
    EXPECT_NEAR(Sampled(MakeTaps(start, 1, 1, 5, GetParam()), 0, pixels), 5, 1e-5);
  }
  for (const double start : {5.0, 24.0}) {
    EXPECT_NEAR(Sampled(MakeTaps(start, 1, 1, 5, GetParam()), 0, pixels), 31, 1e-5);
  }
}

TEST(Taps, LinearIsBetweenNeighbours) {
  EXPECT_NEAR(Sampled(MakeTaps(1.25, 1, 1, 3, Interpolation::kLinear), 0, {0, 100, 200}), 125,
              1e-4);
}

TEST(Taps, AreaIsTheMeanOfBlocks) {
  const std::vector<double> pixels = {0, 4, 8, 12, 100, 102};
  // The centres of blocks of two.
  const Taps taps = MakeTaps(0.5, 2, 3, 6, Interpolation::kArea);
  EXPECT_NEAR(Sampled(taps, 0, pixels), 2, 1e-5);
  EXPECT_NEAR(Sampled(taps, 1, pixels), 10, 1e-5);
  EXPECT_NEAR(Sampled(taps, 2, pixels), 101, 1e-5);
}

}  // namespace
}  // namespace vision
