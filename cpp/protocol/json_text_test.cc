#include "protocol/json_text.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>

namespace despina::protocol {
namespace {

std::string Written(float value) {
  std::array<char, kMaxNumberSize<float>> text;
  return {text.data(), WriteNumber(value, text.data())};
}

// The shortest text by the standard library, as a float.
std::string Expected(float value) {
  std::array<char, 32> text;
  std::string out(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

TEST(JsonNumberTest, FloatsHaveTheirShortestText) {
  EXPECT_EQ(Written(0), "0.0");
  EXPECT_EQ(Written(-0.0F), "-0.0");
  EXPECT_EQ(Written(1), "1.0");
  EXPECT_EQ(Written(-12.5F), "-12.5");
  EXPECT_EQ(Written(0.1F), "0.1");
  EXPECT_EQ(Written(0.001F), "0.001");
  EXPECT_EQ(Written(0.0005F), "5e-04");
  EXPECT_EQ(Written(999.999F), "999.999");
  EXPECT_EQ(Written(1000), "1000.0");
  EXPECT_EQ(Written(0.33333334F), "0.33333334");
  EXPECT_EQ(Written(1e30F), "1e+30");
}

TEST(JsonNumberTest, ThousandthsAreWrittenAsAnyOtherNumber) {
  for (int i = -1'100'000; i <= 1'100'000; ++i) {
    const auto value = static_cast<float>(i / 1000.0);
    ASSERT_EQ(Written(value), Expected(value)) << i;
    const float next = std::nextafter(value, std::numeric_limits<float>::max());
    ASSERT_EQ(Written(next), Expected(next)) << i;
  }
}

TEST(JsonNumberTest, AnyFloatReadsBackAndIsAsShortAsCanBe) {
  std::mt19937 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    ASSERT_EQ(Written(value), Expected(value));
  }
}

}  // namespace
}  // namespace despina::protocol
