#include "base/text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace despina {
namespace {

TEST(Concat, JoinsTextsCharactersAndIntegers) {
  const std::string name = "IN";
  EXPECT_EQ(Concat("input '", name, '0', "' has ", uint64_t{18446744073709551615u}, " or ", -3),
            "input 'IN0' has 18446744073709551615 or -3");
  EXPECT_EQ(Concat(), "");
}

}  // namespace
}  // namespace despina
