#include <gtest/gtest.h>

#include <string>

#include "base/text.h"
#include "http/session.h"
#include "http/testing/session_fixture.h"
#include "memory/pool.h"

namespace despina::http {
namespace {

using std::chrono::seconds;
using testing::kChunkedPost;
using testing::kGet;
using testing::kPost;
using testing::kPostAnswer;
using testing::RecordingHandler;
using testing::SessionTest;
using Phase = net::Protocol::Phase;

class SessionLimitsTest : public SessionTest {
 protected:
  // A session whose handler will have an answer of so many bytes, which the client does not read.
  void OpenUnread(size_t answer_size, uint64_t max_bytes_in_flight) {
    Open(limits_, max_bytes_in_flight);
    handler_->answers_at_once = false;
    write_step_ = 0;
    Feed(kPost);
    handler_->last_body = Slice(*pool_.Allocate(answer_size));
  }
  // The client reads so many bytes of the answer.
  void ReadAnswer(size_t size) { session_->OnWritten(size); }
  uint64_t charged() const { return environment_->bytes_in_flight.used(); }
};

TEST_F(SessionLimitsTest, TakesMemoryForBytesThatArriveAndNotForThoseThatArePromised) {
  Open(limits_, /*max_bytes_in_flight=*/1000);
  Feed("POST /infer HTTP/1.1\r\nContent-Length: 2000\r\n\r\n");
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
  Feed(std::string(1000, 'x'));
  EXPECT_EQ(environment_->bytes_in_flight.used(), 1000U);
  EXPECT_EQ(sent_, "");
  Feed("x");
  EXPECT_EQ(StatusOfLast(), 503);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(SessionLimitsTest, SaysThatThereIsNoMemory) {
  BufferPool small({.max_bytes_in_use = 4096});
  environment_ = std::make_shared<SessionEnvironment>(limits_, 1 << 30, small, clock_);
  session_ = std::make_shared<Session>(environment_, std::make_unique<RecordingHandler>());
  session_->OnOpened(*this);
  Feed("POST /infer HTTP/1.1\r\nContent-Length: 100000\r\n\r\nx");
  EXPECT_EQ(StatusOfLast(), 503) << sent_;
}

TEST_F(SessionLimitsTest, ChargesARequestUntilItIsAnswered) {
  Open();
  handler_->answers_at_once = false;
  Feed(kPost);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 5U);
  handler_->AnswerNow(*session_);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(SessionLimitsTest, TellsTheHandlerThatAClientHasGone) {
  Open();
  handler_->answers_at_once = false;
  Feed(kPost);
  session_->OnClosed();
  EXPECT_EQ(handler_->gone, 1);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 5U);
  handler_->AnswerNow(*session_);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
  EXPECT_TRUE(session_->Output().empty());
}

TEST_F(SessionLimitsTest, GivesBackABodyThatIsNeverCompleted) {
  for (const std::string_view part :
       {kPost.substr(0, kPost.size() - 2), kChunkedPost.substr(0, kChunkedPost.size() - 30)}) {
    Open();
    Feed(part);
    EXPECT_GT(environment_->bytes_in_flight.used(), 0U);
    session_->OnClosed();
    EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
    EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
    EXPECT_EQ(handler_->gone, 0);
  }
}

TEST_F(SessionLimitsTest, GivesATimeToEachPart) {
  limits_ = {.header_timeout = seconds(1), .body_timeout = seconds(2), .idle_timeout = seconds(3)};
  const auto left = [this] { return session_->deadline() - clock_.Now(); };
  Open(limits_);
  EXPECT_EQ(left(), seconds(3));
  Feed("POST /infer HTTP/1.1\r\n");
  EXPECT_EQ(left(), seconds(1));
  clock_.Advance(std::chrono::milliseconds(500));
  Feed("Content-Length: 200000\r\n");
  EXPECT_EQ(left(), std::chrono::milliseconds(500));
  Feed("\r\n");
  EXPECT_EQ(left(), seconds(2));
  // A trickle gains no time; a part of some size does.
  clock_.Advance(seconds(1));
  Feed("x");
  EXPECT_EQ(left(), seconds(1));
  Feed(std::string(100'000, 'x'));
  EXPECT_EQ(left(), seconds(2));
  handler_->answers_at_once = false;
  Feed(std::string(99'999, 'x'));
  EXPECT_EQ(session_->deadline(), TimePoint::max());
  handler_->AnswerNow(*session_);
  EXPECT_EQ(left(), seconds(3));
}

TEST_F(SessionLimitsTest, AnswersALateRequestAndClosesAnIdleConnectionSilently) {
  for (const std::string_view part : {kGet.substr(0, 10), kPost.substr(0, kPost.size() - 2)}) {
    Open();
    Feed(part);
    session_->OnDeadline();
    Drain();
    EXPECT_EQ(StatusOfLast(), 408) << part;
    EXPECT_EQ(session_->phase(), Phase::kDraining);
  }
  Open();
  session_->OnDeadline();
  EXPECT_EQ(session_->phase(), Phase::kDone);
  EXPECT_TRUE(session_->Output().empty());
}

TEST_F(SessionLimitsTest, DrainsForALimitedTime) {
  ExpectRejected("nonsense\r\n\r\n", 400);
  EXPECT_EQ(session_->deadline() - clock_.Now(), seconds(5));
  session_->OnDeadline();
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

constexpr size_t kLarge = 1'000'000;

TEST_F(SessionLimitsTest, ChargesAnAnswerUntilItIsSent) {
  OpenUnread(kLarge, 2 * kLarge);
  EXPECT_EQ(charged(), 5U);
  handler_->AnswerNow(*session_);
  const size_t all = kLarge + std::string_view("got ").size();
  EXPECT_EQ(charged(), all);
  ReadAnswer(kLarge / 2);
  EXPECT_EQ(charged(), all);
  write_step_ = kLarge;
  Drain();
  EXPECT_EQ(charged(), 0U);
}

TEST_F(SessionLimitsTest, GivesBackAnAnswerThatTheClientDoesNotWaitFor) {
  OpenUnread(kLarge, 2 * kLarge);
  handler_->AnswerNow(*session_);
  EXPECT_GT(charged(), kLarge);
  handler_->last_body = {};
  session_->OnClosed();
  EXPECT_EQ(charged(), 0U);
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(SessionLimitsTest, ChargesTheLargerOfARequestAndItsAnswer) {
  Open();
  handler_->answers_at_once = false;
  write_step_ = 0;
  Feed(Concat("POST /infer HTTP/1.1\r\nContent-Length: ", kLarge, "\r\n\r\n",
              std::string(kLarge, 'x')));
  handler_->last_body = handler_->last_body.Part(0, 10'000);
  handler_->AnswerNow(*session_);
  EXPECT_EQ(charged(), kLarge);
  write_step_ = kLarge;
  Drain();
  EXPECT_EQ(charged(), 0U);
}

TEST_F(SessionLimitsTest, RefusesAnAnswerThatTheBudgetDoesNotHold) {
  OpenUnread(kLarge, kLarge);
  handler_->AnswerNow(*session_);
  handler_->last_body = {};
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
  write_step_ = kLarge;
  Drain();
  EXPECT_EQ(StatusOfLast(), 503) << sent_;
  EXPECT_NE(sent_.find("try again later"), std::string::npos) << sent_;
  EXPECT_EQ(charged(), 0U);
  // Smaller ones are sent.
  handler_->answers_at_once = true;
  EXPECT_EQ(Exchange(kPost), kPostAnswer);
}

TEST_F(SessionLimitsTest, TellsErrorsAlsoWhenTheBudgetIsSpent) {
  Open(limits_, /*max_bytes_in_flight=*/0);
  Feed("nonsense\r\n\r\n");
  EXPECT_EQ(StatusOfLast(), 400) << sent_;
}

TEST_F(SessionLimitsTest, GivesATimeToEachPartOfAnAnswer) {
  limits_.body_timeout = seconds(10);
  OpenUnread(kLarge, 2 * kLarge);
  handler_->AnswerNow(*session_);
  const auto left = [this] { return session_->deadline() - clock_.Now(); };
  EXPECT_EQ(left(), seconds(10));
  clock_.Advance(seconds(4));
  // A trickle gains no time; a part of some size does.
  ReadAnswer(60'000);
  EXPECT_EQ(left(), seconds(6));
  ReadAnswer(10'000);
  EXPECT_EQ(left(), seconds(10));
  ReadAnswer(10'000);
  clock_.Advance(seconds(10));
  EXPECT_EQ(left(), seconds(0));
  session_->OnDeadline();
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

}  // namespace
}  // namespace despina::http
