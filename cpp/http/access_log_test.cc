// What the log says of requests.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "http/testing/session_fixture.h"

namespace despina::http {
namespace {

using testing::kGet;
using testing::kPost;
using testing::SessionTest;

class AccessLogTest : public SessionTest {
 protected:
  AccessLogTest() { ::testing::internal::CaptureStderr(); }
  ~AccessLogTest() override {
    if (!taken_) Log();
  }

  void OpenLogged() {
    Open(limits_);
    session_->LogAccess("127.0.0.1:4711");
  }
  std::string Log() {
    taken_ = true;
    return ::testing::internal::GetCapturedStderr();
  }

 private:
  bool taken_ = false;
};

bool Ends(const std::string& text, const std::string& end) { return text.ends_with(end + "\n"); }

TEST_F(AccessLogTest, IsSilentUnlessItIsAskedFor) {
  Open(limits_);
  Exchange(kGet);
  EXPECT_EQ(Log(), "");
}

TEST_F(AccessLogTest, HasALineForEachRequestOnceItsAnswerIsSent) {
  OpenLogged();
  handler_->answers_at_once = false;
  Feed(kPost);
  session_->SetRequestId("r\n1");
  clock_.Advance(std::chrono::microseconds(250));
  handler_->AnswerNow(*session_);
  const std::string log = Log();
  EXPECT_TRUE(log.starts_with("I"));
  EXPECT_TRUE(Ends(log,
                   "] \"answered\" client=\"127.0.0.1:4711\" method=\"POST\" path=\"/infer\" "
                   "status=\"200\" bytes=\"" +
                       std::to_string(sent_.size()) +
                       "\" duration_us=\"250\" request_id=\"r\\n1\""))
      << log;
}

TEST_F(AccessLogTest, ForgetsOneRequestBeforeTheNext) {
  OpenLogged();
  handler_->answers_at_once = false;
  Feed(kPost);
  session_->SetRequestId("first");
  handler_->AnswerNow(*session_);
  clock_.Advance(std::chrono::hours(1));
  Exchange(kGet);
  const std::string log = Log();
  EXPECT_NE(log.find("request_id=\"first\"\n"), std::string::npos);
  EXPECT_TRUE(Ends(log, "method=\"GET\" path=\"/v2\" status=\"200\" bytes=\"" +
                            std::to_string(sent_.size()) + "\" duration_us=\"0\""))
      << log;
}

TEST_F(AccessLogTest, NamesMethodsThatNoRouteHas) {
  OpenLogged();
  Exchange("BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(Log().find("method=\"BREW\" path=\"/pot\""), std::string::npos);
}

TEST_F(AccessLogTest, SaysThatARequestWasRefused) {
  OpenLogged();
  Feed("nonsense\r\n\r\n");
  EXPECT_NE(Log().find("status=\"400\""), std::string::npos);
}

TEST_F(AccessLogTest, SaysThatAClientWentBeforeItsAnswer) {
  OpenLogged();
  handler_->answers_at_once = false;
  Feed(kPost);
  session_->OnClosed();
  const std::string log = Log();
  EXPECT_NE(log.find("\"client gone\" "), std::string::npos) << log;
  EXPECT_NE(log.find("status=\"0\" bytes=\"0\""), std::string::npos) << log;
}

TEST_F(AccessLogTest, IdleConnectionsAreNoRequests) {
  OpenLogged();
  session_->OnClosed();
  EXPECT_EQ(Log(), "");
}

}  // namespace
}  // namespace despina::http
