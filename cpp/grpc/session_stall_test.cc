#include <gtest/gtest.h>

#include <new>
#include <string>
#include <vector>

#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

using namespace std::chrono_literals;
using net::Protocol;
using testing::Framed;

// What clients hold of the server while they do nothing, and what there is no memory for.
class SessionStallTest : public testing::SessionTest {
 protected:
  void OpenAndPass(Duration message_timeout = 60s) {
    SessionLimits limits;
    limits.message_timeout = message_timeout;
    Open(limits);
    Exchange();
  }
  void Pass(Duration time) {
    clock_.Advance(time);
    if (clock_.Now() >= session_->deadline()) session_->OnDeadline();
    Exchange();
  }
  void OnCall(Call& call) override {
    if (no_memory_) throw std::bad_alloc();
    SessionTest::OnCall(call);
  }

  bool no_memory_ = false;
};

TEST_F(SessionStallTest, AMessageThatDoesNotGoOnEndsItsCall) {
  OpenAndPass();
  const int32_t half = Start(kStream, Framed("question").substr(0, 7), false);
  const int32_t none = Start(kUnary, "", false);
  Exchange();
  Pass(60s);
  EXPECT_FALSE(answered_[half].closed);
  Pass(60s);
  for (const int32_t id : {half, none}) {
    EXPECT_EQ(answered_[id].status(), "4");
    EXPECT_EQ(answered_[id].fields["grpc-message"], "the client does not go on with its request");
  }
  EXPECT_EQ(stream().gone, 1);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
}

TEST_F(SessionStallTest, ATrickleIsNoProgress) {
  OpenAndPass();
  const int32_t id = Start(kStream, Framed(std::string(1000, 'x')).substr(0, 10), false);
  for (int minute = 0; minute < 2; ++minute) {
    SendMore(id, "x", false);
    Exchange();
    Pass(60s);
  }
  EXPECT_EQ(answered_[id].status(), "4");
}

TEST_F(SessionStallTest, WhatIsSlowIsTakenAndSoIsWhatWaitsForIt) {
  OpenAndPass();
  const std::string framed = Framed(std::string(1'000'000, 'x'));
  const int32_t slow = Start(kUnary, framed.substr(0, 10), false);
  const int32_t waits = Start(kStream, framed.substr(0, 10), false);
  size_t sent = 10;
  for (int minute = 0; minute < 4; ++minute) {
    SendMore(slow, framed.substr(sent, 70'000), false);
    sent += 70'000;
    Exchange();
    Pass(60s);
  }
  EXPECT_FALSE(answered_[slow].closed);
  EXPECT_FALSE(answered_[waits].closed);
  SendMore(slow, framed.substr(sent), true);
  Exchange();
  EXPECT_EQ(unary().messages.size(), 1U);
}

TEST_F(SessionStallTest, AServerThatWasStoppedItselfDoesNotJudge) {
  OpenAndPass();
  const int32_t id = Start(kStream, Framed("question").substr(0, 7), false);
  Exchange();
  Pass(60s);
  Pass(1h);
  EXPECT_FALSE(answered_[id].closed);
  Pass(60s);
  EXPECT_EQ(answered_[id].status(), "4");
}

TEST_F(SessionStallTest, AClientIsAskedForASignOfLifeInTheSameTurn) {
  SessionLimits limits;
  limits.message_timeout = 60s;
  limits.keepalive = {.time = 60s, .timeout = 5s};
  Open(limits);
  Start(kStream, Framed("question"), false);
  Exchange();
  Pass(60s);
  EXPECT_EQ(pings_, 1);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
}

TEST_F(SessionStallTest, AStreamBetweenItsMessagesMayWait) {
  OpenAndPass();
  const int32_t id = Start(kStream, Framed("question"), false);
  Exchange();
  for (int minute = 0; minute < 5; ++minute) Pass(60s);
  EXPECT_FALSE(answered_[id].closed);
  // Each is begun when another was complete.
  for (int minute = 0; minute < 3; ++minute) {
    SendMore(id, Framed("question").substr(0, 7), false);
    Exchange();
    Pass(60s);
    SendMore(id, Framed("question").substr(7), false);
    Exchange();
  }
  EXPECT_EQ(stream().messages.size(), 4U);
  EXPECT_FALSE(answered_[id].closed);
}

TEST_F(SessionStallTest, AClientIsNotBlamedForWhatTheServerDoesNotTake) {
  OpenAndPass();
  const int32_t id = Start(kStream, Framed("question"), false);
  Exchange();
  // It is read up to within a message.
  SendMore(id, Framed("question").substr(0, 7), false);
  Exchange();
  stream().call->SetReceiving(false);
  SendMore(id, Framed("question").substr(7), false);
  Exchange();
  for (int minute = 0; minute < 3; ++minute) Pass(60s);
  EXPECT_FALSE(answered_[id].closed);
}

TEST_F(SessionStallTest, AnAnswerThatIsNotTakenIsGivenUp) {
  OpenAndPass();
  const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
  nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, &none, 1);
  const int32_t id = Start(kStream, Framed("question"), false);
  Exchange();
  stream().call->Send(Text("answer"));
  Exchange();
  for (int minute = 0; minute < 5; ++minute) Pass(60s);
  EXPECT_FALSE(answered_[id].closed);
  Pass(60s);
  EXPECT_EQ(answered_[id].closed, NGHTTP2_CANCEL);
  EXPECT_EQ(stream().gone, 1);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
}

TEST_F(SessionStallTest, AConnectionThatTakesNothingIsClosed) {
  OpenAndPass();
  Start(kUnary, Framed("question"));
  Exchange();
  deaf_client_ = true;
  unary().call->Respond(Text("answer"));
  session_loop_.FlushAll();
  EXPECT_FALSE(session_->Output().empty());
  for (int minute = 0; minute < 5; ++minute) Pass(60s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  Pass(60s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionStallTest, AHeadThatIsNotFinishedClosesTheConnection) {
  OpenAndPass();
  // HEADERS of stream 1 without END_HEADERS: a frame of CONTINUATION is to follow.
  Feed(std::string("\0\0\1\1\0\0\0\0\1\x83", 10));
  Pass(60s);
  EXPECT_FALSE(go_away_);
  Pass(60s);
  EXPECT_EQ(go_away_, NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_EQ(go_away_text_, "a head was begun and does not go on");
  Pass(10s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

TEST_F(SessionStallTest, ASlowReaderAnnouncesRoomInLumps) {
  OpenAndPass();
  const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
  nghttp2_submit_settings(client_, NGHTTP2_FLAG_NONE, &none, 1);
  const int32_t id = Start(kStream, Framed("question"), false);
  Exchange();
  // The client of the tests would give room at once: what is sent goes nowhere from here on.
  deaf_client_ = true;
  stream().call->Send(Text(std::string(10'000, 'x')));
  std::string room("\0\0\4\10\0\0\0\0\0\0\0\0\62", 13);
  room[8] = static_cast<char>(id);
  for (int lump = 1; lump <= 3; ++lump) {
    for (int minute = 0; minute < 4; ++minute) Pass(60s);
    Feed(room);
    session_loop_.FlushAll();
    size_t written = 0;
    for (const auto& piece : session_->Output()) written += piece.size();
    session_->OnWritten(written);
    EXPECT_EQ(stream().call->unsent(), 10'005U - 50 * static_cast<size_t>(lump));
  }
  EXPECT_EQ(stream().gone, 0);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
}

TEST_F(SessionStallTest, ProbesAreAnsweredAlsoWhenTheBudgetIsSpent) {
  budget_ = 10'000;
  OpenAndPass();
  Charge spent(environment_->bytes_in_flight);
  ASSERT_TRUE(spent.RaiseTo(budget_ - 100));
  const std::string live = "/inference.GRPCInferenceService/ServerLive";
  const int32_t probe = Start(live, Framed(""));
  const int32_t other = Start(kUnary, Framed(""));
  Exchange();
  EXPECT_EQ(records_[live].messages.size(), 1U);
  EXPECT_FALSE(answered_[probe].closed);
  EXPECT_EQ(answered_[other].status(), "8");
}

TEST_F(SessionStallTest, TrailersOfACallThatHasEndedMeanwhileAreNotWaitedFor) {
  OpenAndPass();
  const int32_t answered = Start(kStream, Framed("question"), false);
  const int32_t waiting = Start(kUnary, Framed("question"));
  Exchange();
  // HEADERS with END_STREAM and without END_HEADERS: "a" is "".
  std::string trailers("\0\0\4\1\1\0\0\0\0\0\1a\0", 13);
  trailers[8] = static_cast<char>(answered);
  Feed(trailers);
  stream().call->Respond(Text("answer"));
  session_loop_.FlushAll();
  DrainServer();
  ASSERT_TRUE(answered_[answered].closed);
  // CONTINUATION with END_HEADERS.
  std::string rest("\0\0\0\11\4\0\0\0\0", 9);
  rest[8] = static_cast<char>(answered);
  Feed(rest);
  for (int minute = 0; minute < 3; ++minute) Pass(60s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
  EXPECT_FALSE(answered_[waiting].closed);
}

TEST_F(SessionStallTest, CallsAreChargedForThemselvesAndTheirHeads) {
  budget_ = 10'000;
  OpenAndPass();
  std::vector<int32_t> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(Start(kStream, "", false));
  Exchange();
  EXPECT_LE(environment_->bytes_in_flight.used(), budget_);
  EXPECT_FALSE(answered_[calls.front()].closed);
  EXPECT_EQ(answered_[calls.back()].status(), "8");
  EXPECT_EQ(answered_[calls.back()].fields["grpc-message"],
            "requests in flight hold more than the limit of 10000 bytes; try again later");
}

TEST_F(SessionStallTest, WithoutMemoryForACallTheConnectionEndsAndNotTheServer) {
  OpenAndPass();
  no_memory_ = true;
  Start(kUnary, Framed("question"));
  Exchange();
  EXPECT_EQ(go_away_, NGHTTP2_INTERNAL_ERROR);
  Pass(10s);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kDone);
}

}  // namespace
}  // namespace despina::grpc
