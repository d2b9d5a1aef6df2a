#include "base/utf8.h"

#include <gtest/gtest.h>

namespace despina {
namespace {

TEST(Utf8Test, TextThatOthersCanReadStaysAsItIs) {
  EXPECT_EQ(ToUtf8(""), "");
  EXPECT_EQ(ToUtf8("h\xC3\xA9llo"), "h\xC3\xA9llo");
}

TEST(Utf8Test, OfOtherTextWhatIsBeyondAsciiIsReplaced) {
  EXPECT_FALSE(IsUtf8("\xC3 \xC3\xA9"));
  EXPECT_EQ(ToUtf8("a\xFF"), "a\xEF\xBF\xBD");
  EXPECT_TRUE(IsUtf8(ToUtf8("\xC3 \xC3\xA9")));
}

}  // namespace
}  // namespace despina
