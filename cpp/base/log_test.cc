#include "base/log.h"

#include <gtest/gtest.h>

#include <cctype>
#include <string>

namespace despina::log {
namespace {

// Numbers as '#', whatever they are.
std::string Masked(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!digit || out.empty() || out.back() != '#') out += digit ? '#' : c;
  }
  return out;
}

TEST(LogEscaped, LeavesPrintableTextAndUtf8Alone) {
  EXPECT_EQ(Escaped("model 'pose' 100% \xC3\xA9"), "model 'pose' 100% \xC3\xA9");
  EXPECT_EQ(Escaped(""), "");
}

TEST(LogEscaped, WritesControlCharactersOut) {
  EXPECT_EQ(Escaped("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(Escaped("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(Escaped(std::string_view("\0x", 2)), "\\x00x");
}

TEST(Log, WritesOneLineWithLevelTimeProcessAndPlace) {
  ::testing::internal::CaptureStderr();
  Error("model 'x\nE1123 forged' failed");
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(Masked(line), "E# #:#:#.# # log_test.cc:#] model 'x\\nE# forged' failed\n");
}

TEST(Log, WritesOnlyTheLevelsThatAreOn) {
  EXPECT_TRUE(Enabled(Level::kInfo));
  EXPECT_FALSE(Enabled(Level::kVerbose));
  ::testing::internal::CaptureStderr();
  Enable(Level::kInfo, false);
  Info("unseen");
  Enable(Level::kInfo, true);
  Warning("seen");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("unseen"), std::string::npos);
  EXPECT_NE(text.find("] seen\n"), std::string::npos);
  EXPECT_EQ(text.front(), 'W');
}

}  // namespace
}  // namespace despina::log
