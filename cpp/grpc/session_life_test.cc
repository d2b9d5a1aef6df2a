#include <gtest/gtest.h>

#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

using namespace std::chrono_literals;
using net::Protocol;
using testing::Framed;

class SessionLifeTest : public testing::SessionTest {
 protected:
  void Pass(Duration time) {
    clock_.Advance(time);
    if (clock_.Now() >= session_->deadline()) session_->OnDeadline();
    Exchange();
  }
  void PingFromClient() {
    nghttp2_submit_ping(client_, NGHTTP2_FLAG_NONE, nullptr);
    Exchange();
  }
};

TEST_F(SessionLifeTest, AConnectionThatSaysNothingIsClosed) {
  SessionLimits limits;
  limits.opening_timeout = 10s;
  Open(limits);
  clock_.Advance(9s);
  EXPECT_GT(session_->deadline(), clock_.Now());
  clock_.Advance(1s);
  EXPECT_LE(session_->deadline(), clock_.Now());
  session_->OnDeadline();
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionLifeTest, WhatIsNotHttp2IsToldSo) {
  Open();
  Feed("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  session_loop_.FlushAll();
  DrainServer();
  EXPECT_EQ(server_bytes_.find("HTTP/1.1 400 Bad Request\r\n"), 0U) << server_bytes_;
  EXPECT_NE(server_bytes_.find("this port speaks gRPC"), std::string::npos);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDraining);
}

TEST_F(SessionLifeTest, OneOfTooManyConnectionsIsToldSo) {
  Open({}, "the server has its limit of 1 connections");
  Exchange();
  EXPECT_EQ(go_away_, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(go_away_text_, "the server has its limit of 1 connections");
}

TEST_F(SessionLifeTest, AnEndWaitsForTheCallsThatAreThere) {
  Open();
  const int32_t id = Start(kUnary, Framed("question"));
  Exchange();
  session_->OnStopping();
  Exchange();
  EXPECT_EQ(go_away_, NGHTTP2_NO_ERROR);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  unary().call->Respond(Text("answer"));
  Exchange();
  EXPECT_EQ(answered_[id].status(), "0");
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDraining);
  Pass(10s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionLifeTest, AnIdleConnectionEndsAtOnce) {
  Open();
  Exchange();
  session_->OnStopping();
  Exchange();
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDraining);
}

TEST_F(SessionLifeTest, AClientThatIsSilentIsAskedAndThenGivenUp) {
  SessionLimits limits;
  limits.keepalive = {.time = 60s, .timeout = 5s};
  Open(limits);
  Exchange();
  Pass(200s);
  EXPECT_EQ(pings_, 0) << "there is no call";
  Start(kStream, Framed("question"), false);
  Exchange();
  Pass(60s);
  EXPECT_EQ(pings_, 1);
  // It has answered.
  Pass(5s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  deaf_client_ = true;
  Pass(60s);
  Pass(5s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionLifeTest, ItIsNotAskedForEverWithoutData) {
  SessionLimits limits;
  limits.keepalive = {.time = 60s, .timeout = 5s, .max_pings_without_data = 2};
  Open(limits);
  Start(kStream, Framed("question"), false);
  Exchange();
  for (int i = 0; i < 10; ++i) Pass(60s);
  EXPECT_EQ(pings_, 2);
  stream().call->Send(Text("answer"));
  Exchange();
  Pass(60s);
  EXPECT_EQ(pings_, 3);
}

TEST_F(SessionLifeTest, PingsThatComeTooOftenEndTheConnection) {
  SessionLimits limits;
  limits.keepalive = {.min_ping_interval = 10s, .max_ping_strikes = 2};
  Open(limits);
  Start(kStream, Framed("question"), false);
  Exchange();
  for (int i = 0; i < 5; ++i) {
    PingFromClient();
    clock_.Advance(10s);
  }
  for (int i = 0; i < 2; ++i) PingFromClient();
  EXPECT_FALSE(go_away_);
  PingFromClient();
  PingFromClient();
  EXPECT_EQ(go_away_, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(go_away_text_, "too_many_pings");
}

TEST_F(SessionLifeTest, PingsAreForgivenWhenSomethingIsSent) {
  SessionLimits limits;
  limits.keepalive = {.min_ping_interval = 10s, .max_ping_strikes = 2};
  Open(limits);
  Start(kStream, Framed("question"), false);
  Exchange();
  for (int i = 0; i < 20; ++i) {
    PingFromClient();
    stream().call->Send(Text("answer"));
    Exchange();
  }
  EXPECT_FALSE(go_away_);
}

TEST_F(SessionLifeTest, AnOldConnectionIsEndedAndItsCallsHaveTheirGrace) {
  SessionLimits limits;
  limits.max_age = 100s;
  limits.max_age_grace = 10s;
  Open(limits);
  Start(kStream, Framed("question"), false);
  Exchange();
  Pass(99s);
  EXPECT_FALSE(go_away_);
  Pass(1s);
  EXPECT_EQ(go_away_, NGHTTP2_NO_ERROR);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  Pass(10s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionLifeTest, FloodsOfFramesThatCarryNothingEndTheConnection) {
  Open();
  Exchange();
  const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65535};
  for (int i = 0; i < 2100 && !go_away_; ++i) {
    nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, &entry, 1);
    Exchange();
  }
  EXPECT_EQ(go_away_, NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(SessionLifeTest, ResetsInMassesEndTheConnection) {
  Open();
  Exchange();
  int resets = 0;
  for (; resets < 50'000 && !go_away_; ++resets) {
    const int32_t id = Start(kUnary, Framed("question"));
    Exchange();
    nghttp2_submit_rst_stream(client_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    Exchange();
  }
  EXPECT_TRUE(go_away_);
  EXPECT_GE(resets, 10'000);
}

TEST_F(SessionLifeTest, AClientThatReceivesAndMeasuresTheWayForHoursIsKept) {
  Open();
  Start(kStream, Framed("question"), false);
  Exchange();
  for (int i = 0; i < 2100; ++i) {
    stream().call->Send(Text("part"));
    PingFromClient();
  }
  EXPECT_FALSE(go_away_) << go_away_text_;
}

TEST_F(SessionLifeTest, AClientThatIsIdleAndPingsAsItMayIsKept) {
  SessionLimits limits;
  limits.keepalive = {.permit_without_calls = true, .min_ping_interval = 10s};
  Open(limits);
  for (int i = 0; i < 2100; ++i) {
    clock_.Advance(10s);
    PingFromClient();
  }
  EXPECT_FALSE(go_away_) << go_away_text_;
}

TEST_F(SessionLifeTest, AnAgeThatIsReachedWhileTheServerEndsLeavesTheCallsAlone) {
  SessionLimits limits;
  limits.max_age = 60s;
  limits.max_age_grace = 60s;
  Open(limits);
  const int32_t id = Start(kUnary, Framed("question"));
  Exchange();
  session_->OnStopping();
  Exchange();
  Pass(60s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  unary().call->Respond(Text("answer"));
  Exchange();
  EXPECT_EQ(answered_[id].status(), "0");
}

TEST_F(SessionLifeTest, WhatACallHoldsOfTheBudgetCanBeGivenBackWhenTheServerIsGone) {
  Open();
  Start(kUnary, Framed("question"));
  Exchange();
  const std::weak_ptr<SessionEnvironment> environment = environment_;
  const uint64_t held = environment_->bytes_in_flight.used();
  Close();
  environment_.reset();
  ASSERT_FALSE(environment.expired());
  unary().charges.clear();
  EXPECT_LT(environment.lock()->bytes_in_flight.used(), held);
  unary().call.reset();
  EXPECT_TRUE(environment.expired());
}

TEST_F(SessionLifeTest, AnswersThatNobodyWaitsForHoldNothingOfTheBudget) {
  Open();
  Start(kStream, Framed("question"), false);
  Exchange();
  deaf_client_ = true;
  stream().charges.clear();
  const uint64_t before = environment_->bytes_in_flight.used();
  stream().call->Send(Text("answer"));
  EXPECT_GT(environment_->bytes_in_flight.used(), before);
  session_->OnClosed();
  EXPECT_EQ(environment_->bytes_in_flight.used(), before);
}

TEST_F(SessionLifeTest, AClientThatAsksAndCancelsAndReadsNothingIsClosed) {
  SessionLimits limits;
  limits.max_concurrent_streams = 10;
  Open(limits);
  Exchange();
  const auto asked = [this] {
    const int32_t id = Start(kUnary, "", true, {}, "GET");
    std::string bytes = FromClient();
    nghttp2_submit_rst_stream(client_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    bytes += FromClient();
    Feed(bytes);
  };
  for (int i = 0; i < 5000 && session_->phase() != Protocol::Phase::kDone; ++i) asked();
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionLifeTest, ClientThatBrokeTheRulesAndReadsNothingWasKept) {
  Open();
  Start(kStream, Framed("question"), false);
  Exchange();
  deaf_client_ = true;
  stream().call->Send(Text("answer"));
  for (int i = 0; i < 5; ++i) PingFromClient();
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  Pass(2s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionLifeTest, ClientThatDoesNotAnswerTheLastPingWasWaitedForWithoutEnd) {
  Open();
  Exchange();
  session_->OnStopping();
  session_loop_.FlushAll();
  DrainServer();
  // Its answer is lost.
  FromClient();
  Pass(19s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  Pass(1s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDraining);
}

TEST_F(SessionLifeTest, WindowThatIsGivenDidNotForgivePings) {
  SessionLimits limits;
  limits.keepalive = {.min_ping_interval = 10s, .max_ping_strikes = 2};
  Open(limits);
  const int32_t id = Start(kStream, "", false);
  Exchange();
  for (int i = 0; i < 20; ++i) {
    // More than half of the stream's window.
    SendMore(id, Framed(std::string(3 << 20, 'x')), false);
    Exchange();
    stream().charges.clear();
    PingFromClient();
  }
  EXPECT_FALSE(go_away_) << go_away_text_;
}

TEST_F(SessionLifeTest, PostOfHttp1WasNotToldThatItIsNotHttp2) {
  Open();
  Feed("POST / HTTP/1.1\r\nHost: h\r\n\r\n");
  session_loop_.FlushAll();
  DrainServer();
  EXPECT_TRUE(server_bytes_.starts_with("HTTP/1.1 400 Bad Request\r\n")) << server_bytes_;
}

}  // namespace
}  // namespace despina::grpc
