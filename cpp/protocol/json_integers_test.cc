#include "protocol/json_integers.h"

#include <gtest/gtest.h>

namespace despina::protocol {
namespace {

TEST(WithoutWideIntegersTest, GivesThemAFraction) {
  EXPECT_EQ(WithoutWideIntegers("[18446744073709551616,1,-9223372036854775809]"),
            "[18446744073709551616.0,1,-9223372036854775809.0]");
  EXPECT_EQ(WithoutWideIntegers("100000000000000000000"), "100000000000000000000.0");
}

TEST(WithoutWideIntegersTest, LeavesEverythingElseAlone) {
  for (const char* text : {
           "",
           "[18446744073709551615,-9223372036854775808,9223372036854775808]",
           "[1.0000000000000000000000000000001,1e00000000000000000000000001]",
           "[100000000000000000000.5,100000000000000000000e5]",
           R"({"100000000000000000000":"a\"100000000000000000000\\"})",
           R"("100000000000000000000)",
           R"("100000000000000000000\)",
           "[00000000000000000000000000001]",
       }) {
    EXPECT_EQ(WithoutWideIntegers(text), std::nullopt) << text;
  }
}

TEST(WithoutWideIntegersTest, MakesNoJsonOfWhatIsNone) {
  EXPECT_EQ(WithoutWideIntegers("[-100000000000000000000x"), "[-100000000000000000000.0x");
}

}  // namespace
}  // namespace despina::protocol
