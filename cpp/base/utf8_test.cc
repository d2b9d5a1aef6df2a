#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

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

TEST(Utf8Test, AByteThatIsNoneIsFoundAtEachPlace) {
  for (size_t size = 1; size < 70; ++size) {
    EXPECT_TRUE(IsUtf8(std::string(size, 'a')));
    for (size_t place = 0; place < size; ++place) {
      std::string text(size, 'a');
      text[place] = '\xFF';
      EXPECT_FALSE(IsUtf8(text)) << size << ' ' << place;
    }
  }
}

}  // namespace
}  // namespace despina
