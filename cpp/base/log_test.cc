#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace despina::log {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  AppendQuoted(out, text);
  return out;
}

// Numbers as '#', whatever they are.
std::string Masked(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (!digit || out.empty() || out.back() != '#') out += digit ? '#' : c;
  }
  return out;
}

TEST(LogQuoted, LeavesPrintableTextAndUtf8Alone) {
  EXPECT_EQ(Quoted("model 'pose' 100% \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "\"model 'pose' 100% \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
  EXPECT_EQ(Quoted(""), "\"\"");
}

TEST(LogQuoted, IsAJsonString) {
  EXPECT_EQ(Quoted("a \"b\" \\c"), R"("a \"b\" \\c")");
  EXPECT_EQ(Quoted("a\nb\tc\rd"), R"("a\nb\tc\rd")");
  EXPECT_EQ(Quoted("\x1b[31mred\x7f"), R"("\u001b[31mred\u007f")");
  EXPECT_EQ(Quoted(std::string_view("\0x", 2)), R"("\u0000x")");
}

TEST(LogQuoted, WritesOutWhatASeeingReaderWouldMiss) {
  EXPECT_EQ(Quoted("\xC2\x9B"
                   "31m\xC2\x85"),
            R"("\u009b31m\u0085")");  // C1: CSI, next line
  EXPECT_EQ(Quoted("a\xE2\x80\xA8"
                   "b\xE2\x80\xA9"),
            R"("a\u2028b\u2029")");
  EXPECT_EQ(Quoted("\xE2\x80\xAE"
                   "x\xE2\x80\x8F\xE2\x81\xA6\xD8\x9C"),
            R"("\u202ex\u200f\u2066\u061c")");
  EXPECT_EQ(Quoted("\xEF\xBB\xBF\xE2\x80\x8B"), R"("\ufeff\u200b")");
  EXPECT_EQ(Quoted("\xF3\xA0\x81\x81"), R"("\udb40\udc41")");  // a tag character
}

TEST(LogQuoted, ReplacesEveryByteThatIsNoUtf8) {
  EXPECT_EQ(Quoted("a\xff"
                   "b"),
            R"("a\ufffdb")");
  EXPECT_EQ(Quoted("\xc3"), R"("\ufffd")");
  EXPECT_EQ(Quoted("\xc0\x8a"), R"("\ufffd\ufffd")");  // an overlong line end
  EXPECT_EQ(Quoted("\xe0\x80\x8a"), R"("\ufffd\ufffd\ufffd")");
  EXPECT_EQ(Quoted("\xed\xa0\x80"), R"("\ufffd\ufffd\ufffd")");  // a surrogate
  EXPECT_EQ(Quoted("\xf4\x90\x80\x80"), R"("\ufffd\ufffd\ufffd\ufffd")");
  EXPECT_EQ(Quoted("\xe2\x82\n"), R"("\ufffd\ufffd\n")");
}

class LogLine : public ::testing::Test {
 protected:
  std::string Of(Format format) {
    entry_.fields = fields_;
    return LineOf(entry_, format);
  }

  Fields fields_;
  Entry entry_{.level = Level::kWarning,
               .time = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) +
                       std::chrono::microseconds(64'140'000'123),
               .process = 4711,
               .file = "a/b/file.cc",
               .line = 12,
               .text = "a \"b\"",
               .fields = {}};
};

TEST_F(LogLine, HasTheProtocolsForm) {
  EXPECT_EQ(Of(Format::kDefault), "W1123 17:49:00.000123 4711 file.cc:12] \"a \\\"b\\\"\"\n");
  EXPECT_EQ(Of(Format::kIso8601), "2026-11-23T17:49:00Z W 4711 file.cc:12] \"a \\\"b\\\"\"\n");
}

TEST_F(LogLine, IsAJsonObject) {
  EXPECT_EQ(Of(Format::kJson),
            R"({"time":"2026-11-23T17:49:00.000123Z","level":"warning","process":4711,)"
            R"("file":"file.cc","line":12,"message":"a \"b\""})"
            "\n");
}

TEST_F(LogLine, ShowsItsFields) {
  fields_ = {{"model", "m"}, {"request_id", "1\" x=\"2\n"}};
  EXPECT_TRUE(Of(Format::kDefault).ends_with("\" model=\"m\" request_id=\"1\\\" x=\\\"2\\n\"\n"));
  EXPECT_TRUE(Of(Format::kJson)
                  .ends_with(R"(,"message":"a \"b\"","model":"m","request_id":"1\" x=\"2\n"})"
                             "\n"));
}

TEST(Log, WritesOneLineWithLevelTimeProcessAndPlace) {
  ::testing::internal::CaptureStderr();
  Error("model 'x\nE1123 forged' failed");
  const std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(Masked(line), "E# #:#:#.# # log_test.cc:#] \"model 'x\\nE# forged' failed\"\n");
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
  EXPECT_NE(text.find("] \"seen\"\n"), std::string::npos);
  EXPECT_EQ(text.front(), 'W');
}

class Named final : public Subject {
 public:
  Named(std::string key, std::string value) : field_(std::move(key), std::move(value)) {}
  void AddFields(Fields& fields) const override { fields.push_back(field_); }

 private:
  const Field field_;
};

TEST(LogSubject, GivesItsFieldsToLinesOfItsThreadWhileItLives) {
  ::testing::internal::CaptureStderr();
  {
    const Named outer("model", "m");
    Info("one");
    const Named inner("request_id", "7");
    Info("two");
    const Fields own = {{"model", "other"}};
    Write(Level::kInfo, "three", "x.cc", 1, own);
    std::thread([] { Info("elsewhere"); }).join();
  }
  Info("after");
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("\"one\" model=\"m\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\"two\" model=\"m\" request_id=\"7\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\"three\" request_id=\"7\" model=\"other\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\"elsewhere\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\"after\"\n"), std::string::npos) << text;
}

class LogFile : public ::testing::Test {
 protected:
  LogFile() { std::filesystem::create_directory(folder_); }
  ~LogFile() override {
    static_cast<void>(OpenFile(""));
    std::filesystem::remove_all(folder_);
  }
  std::string Content(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(folder_ / name).rdbuf();
    return text.str();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("despina_log_test." + std::to_string(getpid()));
};

TEST_F(LogFile, IsAppendedTo) {
  std::ofstream(folder_ / "log") << "before\n";
  ASSERT_TRUE(OpenFile(folder_ / "log").ok());
  Info("here");
  ASSERT_TRUE(OpenFile("").ok());
  ::testing::internal::CaptureStderr();
  Info("there");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("there"), std::string::npos);
  const std::string text = Content("log");
  EXPECT_TRUE(text.starts_with("before\n"));
  EXPECT_TRUE(text.ends_with("] \"here\"\n"));
}

TEST_F(LogFile, IsOpenedAgainUnderItsNameWhileLinesAreWritten) {
  ASSERT_TRUE(OpenFile(folder_ / "log").ok());
  constexpr int kLines = 2000;
  std::thread writer([] {
    for (int i = 0; i < kLines; ++i) Info("line");
  });
  for (int i = 0; i < 20; ++i) {
    std::filesystem::rename(folder_ / "log", folder_ / ("log." + std::to_string(i)));
    ASSERT_TRUE(ReopenFile().ok());
  }
  writer.join();
  // None is lost, and none is written in two parts.
  int lines = 0;
  for (const auto& each : std::filesystem::directory_iterator(folder_)) {
    std::istringstream text(Content(each.path().filename()));
    for (std::string line; std::getline(text, line); ++lines) {
      EXPECT_TRUE(line.ends_with("] \"line\"")) << line;
    }
  }
  EXPECT_EQ(lines, kLines);
}

TEST_F(LogFile, ThatCannotBeOpenedChangesNothing) {
  ASSERT_TRUE(OpenFile(folder_ / "log").ok());
  const Status failed = OpenFile(folder_ / "none" / "log");
  EXPECT_EQ(failed.code(), Code::kInvalidArgument);
  EXPECT_NE(failed.message().find("No such file or directory"), std::string::npos);
  Info("here");
  EXPECT_NE(Content("log").find("here"), std::string::npos);
}

}  // namespace
}  // namespace despina::log
