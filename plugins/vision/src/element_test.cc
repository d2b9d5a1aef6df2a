#include "element.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace vision {
namespace {

// The definition of the format, IEEE 754 binary16.
double ValueOf(despina::Half half) {
  const int exponent = half.bits >> 10 & 0x1F, fraction = half.bits & 0x3FF;
  const double sign = half.bits & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Half, EachNumberOf16BitsIsItself) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    const despina::Half half{static_cast<uint16_t>(bits)};
    const auto value = static_cast<float>(ValueOf(half));
    if (std::isnan(value)) continue;
    EXPECT_EQ(Element<despina::Half>(value).bits, half.bits) << value;
  }
}

TEST(Half, BetweenTwoTheNearestIsTakenAndHalfwayTheEvenOne) {
  for (int bits = 0; bits < 0x7BFF; ++bits) {
    const auto low = static_cast<uint16_t>(bits);
    const auto high = static_cast<uint16_t>(bits + 1);
    const double a = ValueOf({low}), b = ValueOf({high});
    EXPECT_EQ(Element<despina::Half>(static_cast<float>(a + (b - a) * 0.25)).bits, low);
    EXPECT_EQ(Element<despina::Half>(static_cast<float>(a + (b - a) * 0.75)).bits, high);
    EXPECT_EQ(Element<despina::Half>(static_cast<float>((a + b) / 2)).bits,
              bits % 2 == 0 ? low : high);
  }
}

TEST(Half, WhatIsTooGreatIsInfinite) {
  EXPECT_EQ(Element<despina::Half>(65519.0F).bits, 0x7BFF);
  EXPECT_EQ(Element<despina::Half>(65520.0F).bits, 0x7C00);
  EXPECT_EQ(Element<despina::Half>(-1e30F).bits, 0xFC00);
  EXPECT_TRUE(std::isnan(ValueOf(Element<despina::Half>(NAN))));
}

TEST(Byte, IsRounded) {
  EXPECT_EQ(Element<uint8_t>(0), 0);
  EXPECT_EQ(Element<uint8_t>(99.49F), 99);
  EXPECT_EQ(Element<uint8_t>(99.5F), 100);
  EXPECT_EQ(Element<uint8_t>(255), 255);
}

}  // namespace
}  // namespace vision
