#include "grpc/session.h"

#include <gtest/gtest.h>

#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

using namespace std::chrono_literals;
using net::Protocol;
using testing::Answered;
using testing::Framed;

class SessionTest : public testing::SessionTest {};

TEST_F(SessionTest, BringsAMessageAndItsAnswer) {
  Open();
  const int32_t id = Start(kUnary, Framed("question"), true, {{"x-key", "value"}});
  Exchange();
  ASSERT_EQ(unary().messages, std::vector<std::string>{"question"});
  EXPECT_EQ(unary().call->head().fields.back().name, "x-key");
  unary().call->Respond(Text("answer"));
  Exchange();
  const Answered& answer = answered_[id];
  EXPECT_EQ(answer.body, Framed("answer"));
  EXPECT_EQ(answer.fields.at(":status"), "200");
  EXPECT_EQ(answer.fields.at("content-type"), "application/grpc");
  EXPECT_EQ(answer.status(), "0");
  EXPECT_EQ(answer.fields.count("grpc-message"), 0U);
  EXPECT_EQ(answer.closed, NGHTTP2_NO_ERROR);
  EXPECT_EQ(unary().gone, 0);
}

TEST_F(SessionTest, AnErrorIsAHeadAlone) {
  Open();
  const int32_t id = Start(kUnary, Framed("question"));
  Exchange();
  unary().call->Finish(NotFound("no 100% \xc3\xa9"));
  Exchange();
  EXPECT_EQ(answered_[id].status(), "5");
  EXPECT_EQ(answered_[id].fields.at("grpc-message"), "no 100%25 %C3%A9");
  EXPECT_EQ(answered_[id].body, "");
  EXPECT_EQ(answered_[id].closed, NGHTTP2_NO_ERROR);
}

TEST_F(SessionTest, AStreamGoesBothWaysUntilItsEnd) {
  Open();
  const int32_t id = Start(kStream, Framed("one") + Framed("two"), false);
  Exchange();
  EXPECT_EQ(stream().messages, (std::vector<std::string>{"one", "two"}));
  EXPECT_FALSE(stream().ended);
  const std::shared_ptr<Call> call = stream().call;
  call->Send(Text("1"));
  Exchange();
  call->Send(Text("2"));
  SendMore(id, Framed("three"), true);
  Exchange();
  EXPECT_EQ(stream().messages.back(), "three");
  EXPECT_TRUE(stream().ended);
  EXPECT_EQ(answered_[id].body, Framed("1") + Framed("2"));
  EXPECT_FALSE(answered_[id].closed);
  call->Finish(Ok());
  Exchange();
  EXPECT_EQ(answered_[id].status(), "0");
  EXPECT_EQ(answered_[id].closed, NGHTTP2_NO_ERROR);
}

TEST_F(SessionTest, WhoSendsOnIsToldToStopOnceThereIsAnAnswer) {
  Open();
  const int32_t id = Start(kStream, Framed("one"), false);
  Exchange();
  stream().call->Finish(Internal("enough"));
  Exchange();
  EXPECT_EQ(answered_[id].status(), "13");
  EXPECT_EQ(answered_[id].closed, NGHTTP2_NO_ERROR);
}

TEST_F(SessionTest, OnlyCallsOfGrpcAreTaken) {
  Open();
  const int32_t get = Start(kUnary, "", true, {}, "GET");
  const int32_t json = Start(kUnary, "", true, {}, "POST", "application/json");
  Exchange();
  EXPECT_EQ(answered_[get].fields.at(":status"), "405");
  EXPECT_EQ(answered_[json].fields.at(":status"), "415");
}

TEST_F(SessionTest, OneMessageIsOne) {
  Open();
  const int32_t none = Start(kUnary, "");
  const int32_t two = Start(kUnary, Framed("a") + Framed("b"));
  const int32_t half = Start(kUnary, Framed("abc").substr(0, 6));
  Exchange();
  EXPECT_EQ(answered_[none].status(), "12");
  EXPECT_EQ(answered_[two].status(), "12");
  EXPECT_EQ(answered_[half].status(), "13");
  EXPECT_EQ(answered_[half].fields.at("grpc-message"), "the client has ended within a message");
  EXPECT_TRUE(unary().messages.empty());
}

TEST_F(SessionTest, AClientThatCancelsIsGone) {
  Open();
  const int32_t id = Start(kUnary, Framed("question"));
  Exchange();
  nghttp2_submit_rst_stream(client_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  Exchange();
  EXPECT_EQ(unary().gone, 1);
  EXPECT_TRUE(unary().call->over());
  // What comes too late does nothing.
  unary().call->Respond(Text("answer"));
  Exchange();
  EXPECT_EQ(answered_[id].body, "");
}

TEST_F(SessionTest, AConnectionThatClosesTakesItsCallsAlong) {
  Open();
  Start(kUnary, Framed("question"));
  Start(kStream, Framed("question"), false);
  Exchange();
  Close();
  EXPECT_EQ(unary().gone, 1);
  EXPECT_EQ(stream().gone, 1);
  unary().call->Respond(Text("answer"));
}

TEST_F(SessionTest, LargeMessagesGoThroughAnyWindow) {
  Open();
  const std::string large(5 << 20, 'x');
  const int32_t id = Start(kUnary, Framed(large));
  Exchange();
  ASSERT_EQ(unary().messages.size(), 1U);
  EXPECT_EQ(unary().messages[0], large);
  unary().call->Respond(Text(large));
  Exchange();
  EXPECT_EQ(answered_[id].body, Framed(large));
  EXPECT_EQ(answered_[id].status(), "0");
}

TEST_F(SessionTest, AClientThatReadsNothingHoldsNoMoreThanTheOutbox) {
  Open();
  Start(kUnary, Framed("question"));
  // It takes what is sent, but would let everything come at once.
  nghttp2_session_set_local_window_size(client_, NGHTTP2_FLAG_NONE, 0, 1 << 30);
  Exchange();
  deaf_client_ = true;
  unary().call->Respond(Text(std::string(8 << 20, 'x')));
  session_loop_.FlushAll();
  size_t waiting = 0;
  for (const auto& piece : session_->Output()) waiting += piece.size();
  EXPECT_LT(waiting, size_t{1} << 20);
  EXPECT_EQ(session_->phase(), Protocol::Phase::kOpen);
}

TEST_F(SessionTest, AStreamThatIsNotReceivingMaySendItsWindowAndNoMore) {
  Open();
  const int32_t id = Start(kStream, Framed("first"), false);
  Exchange();
  const std::shared_ptr<Call> call = stream().call;
  call->SetReceiving(false);
  const std::string large(10 << 20, 'x');
  SendMore(id, Framed(large), false);
  Exchange();
  EXPECT_EQ(stream().messages.size(), 1U);
  EXPECT_LE(environment_->bytes_in_flight.used(), uint64_t{5} << 20);
  call->SetReceiving(true);
  Exchange();
  ASSERT_EQ(stream().messages.size(), 2U);
  EXPECT_EQ(stream().messages[1].size(), large.size());
}

TEST_F(SessionTest, AnswersAreChargedUntilTheyAreSent) {
  budget_ = 10'000;
  Open();
  const int32_t id = Start(kStream, Framed("question"), false);
  Exchange();
  stream().charges.clear();
  const uint64_t before = environment_->bytes_in_flight.used();
  stream().call->Send(Text(std::string(900, 'x')));
  EXPECT_EQ(environment_->bytes_in_flight.used(), before + 900);
  Exchange();
  EXPECT_EQ(environment_->bytes_in_flight.used(), before);
  stream().call->Send(Text(std::string(10'001 - before, 'x')));
  Exchange();
  EXPECT_EQ(answered_[id].status(), "8");
  EXPECT_EQ(stream().gone, 1);
}

TEST_F(SessionTest, AHeadThatIsTooLargeIsToldSo) {
  SessionLimits limits;
  limits.max_header_bytes = 1000;
  Open(limits);
  const int32_t id = Start(kUnary, Framed("x"), true, {{"x-large", std::string(900, 'v')}});
  Exchange();
  EXPECT_EQ(answered_[id].status(), "8");
  EXPECT_FALSE(go_away_);
  const int32_t other = Start(kUnary, Framed("x"), true, {{"x-large", std::string(20'000, 'v')}});
  Exchange();
  EXPECT_EQ(go_away_, NGHTTP2_ENHANCE_YOUR_CALM) << answered_[other].status();
}

TEST_F(SessionTest, AMalformedTimeoutIsAnError) {
  Open();
  const int32_t id = Start(kUnary, Framed("x"), true, {{"grpc-timeout", "1x"}});
  Exchange();
  EXPECT_EQ(answered_[id].status(), "13");
}

}  // namespace
}  // namespace despina::grpc
