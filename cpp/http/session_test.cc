#include "http/session.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/text.h"
#include "http/testing/session_fixture.h"

namespace despina::http {
namespace {

using testing::kChunkedPost;
using testing::kGet;
using testing::kGetAnswer;
using testing::kPost;
using testing::kPostAnswer;
using testing::RecordingHandler;
using testing::SessionTest;
using Phase = net::Protocol::Phase;

TEST_F(SessionTest, AnswersRequestsHoweverTheirBytesAreSplit) {
  const std::string requests = Concat(kGet, kPost, kChunkedPost, kGet, kPost);
  const std::string answers = Concat(kGetAnswer, kPostAnswer, kPostAnswer, kGetAnswer, kPostAnswer);
  for (size_t split = 0; split <= requests.size(); ++split) {
    Open();
    ASSERT_TRUE(Feed(std::string_view(requests).substr(0, split)));
    ASSERT_TRUE(Feed(std::string_view(requests).substr(split)));
    ASSERT_EQ(sent_, answers) << "split at " << split;
  }
  for (const size_t step : {1, 2, 3, 7}) {
    Open();
    ASSERT_TRUE(Feed(requests, step));
    ASSERT_EQ(sent_, answers) << step << " bytes at a time";
  }
}

TEST_F(SessionTest, ReadsAnEmptyChunkedBodyByteByByte) {
  Open();
  ASSERT_TRUE(Feed("POST /infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1));
  EXPECT_EQ(handler_->bodies, std::vector<std::string>{""});
}

TEST_F(SessionTest, SendsTheRestOfAnAnswerThatWasSentInPart) {
  write_step_ = 3;
  Open();
  EXPECT_EQ(Exchange(Concat(kPost, kGet)), Concat(kPostAnswer, kGetAnswer));
}

TEST_F(SessionTest, AnswersPipelinedRequestsInOrderAndOneAtATime) {
  Open();
  handler_->answers_at_once = false;
  EXPECT_TRUE(Feed(Concat(kPost, kGet, "POST /infer HTTP/1.1\r\nContent-Length: 3\r\n\r\nbye")));
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(handler_->bodies, std::vector<std::string>{"hello"});
  handler_->AnswerNow(*session_);
  EXPECT_EQ(sent_, Concat(kPostAnswer, kGetAnswer));
  EXPECT_EQ(handler_->bodies, (std::vector<std::string>{"hello", "bye"}));
}

TEST_F(SessionTest, ReadsABoundedAmountWhileARequestIsInWork) {
  Open();
  handler_->answers_at_once = false;
  Feed(kPost);
  EXPECT_FALSE(Feed(std::string(1 << 20, 'x')));
  EXPECT_TRUE(session_->ReadSpace().empty());
  EXPECT_EQ(session_->phase(), Phase::kOpen);
}

TEST_F(SessionTest, PlacesTheBodySoThatTheTensorBehindTheJsonIsAligned) {
  for (size_t json = 0; json <= 2 * kDataAlignment; ++json) {
    for (const bool chunked : {false, true}) {
      Open();
      handler_->aligned = json;
      const std::string body(json + 70'000, 'b');
      Feed("POST /infer HTTP/1.1\r\n");
      if (chunked) {
        Feed("Transfer-Encoding: chunked\r\n\r\n");
        Feed(Concat("10\r\n", body.substr(0, 16), "\r\n"));
        std::string size(16, '\0');
        size.resize(
            static_cast<size_t>(std::snprintf(size.data(), size.size(), "%zx", body.size() - 16)));
        Feed(Concat(size, "\r\n", body.substr(16), "\r\n0\r\n\r\n"));
      } else {
        Feed(Concat("Content-Length: ", body.size(), "\r\n\r\n", body));
      }
      ASSERT_EQ(handler_->bodies, std::vector<std::string>{body});
      EXPECT_TRUE(handler_->last_body.Part(json, 1).aligned()) << json;
      // A JSON parser may read behind the body.
      const Buffer& buffer = handler_->last_body.buffer();
      const std::byte* end = handler_->last_body.data() + body.size();
      EXPECT_GE(buffer.data() + buffer.size() - end, 64);
    }
  }
}

TEST_F(SessionTest, TellsAClientThatWaitsToGoOn) {
  Open();
  EXPECT_EQ(Exchange("POST /infer HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(Exchange("hello"), kPostAnswer);
  // Not one that did not wait.
  EXPECT_EQ(
      Exchange("POST /infer HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
      kPostAnswer);
}

TEST_F(SessionTest, RefusesABodyBeforeTheClientSendsIt) {
  limits_.max_body_bytes = 10;
  ExpectRejected("POST /infer HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n", 413);
  ExpectRejected("POST /infer HTTP/1.1\r\nExpect: 200-ok\r\nContent-Length: 5\r\n\r\n", 417);
  ExpectRejected("POST /infer HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", 413);
}

TEST_F(SessionTest, BoundsChunkedBodiesByWhatArrives) {
  limits_.max_body_bytes = 10;
  const std::string head = "POST /infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  ExpectRejected(head + "b\r\n12345678901\r\n", 413);
  ExpectRejected(head + "6\r\n123456\r\n5\r\n12345\r\n", 413);
  ExpectRejected(head + "ffffffffffffffff\r\n12345678901", 413);
  Open(limits_);
  Feed(head + "a\r\n1234567890\r\n0\r\n\r\n");
  EXPECT_EQ(handler_->bodies, std::vector<std::string>{"1234567890"});
}

TEST_F(SessionTest, RejectsFramingThatCannotBeTrusted) {
  const std::string post = "POST /infer HTTP/1.1\r\n";
  for (const std::string_view fields : {
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
           "Content-Length: 5\r\nContent-Length: 6\r\n",
           "Content-Length: -1\r\n",
           "Content-Length: 5x\r\n",
           "Content-Length: 18446744073709551616\r\n",
           "Content-Length : 5\r\n",
           ("Inference-Header-Content-Length: 1\r\ninference-header-content-length: 1\r\n"
            "Content-Length: 5\r\n"),
       }) {
    ExpectRejected(Concat(post, fields, "\r\nhello"), 400);
  }
  ExpectRejected(post + "Transfer-Encoding: gzip\r\n\r\nhello", 501);
  ExpectRejected(post + "Transfer-Encoding: gzip, chunked\r\n\r\nhello", 501);
  ExpectRejected("POST /infer HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
  for (const std::string_view chunks : {"x\r\nhello", "-1\r\nhello", "5 \r\nhello\r\n",
                                        "2\r\nhello\r\n", "fffffffffffffffff\r\n"}) {
    ExpectRejected(Concat(post, "Transfer-Encoding: chunked\r\n\r\n", chunks), 400);
  }
  ExpectRejected("nonsense\r\n\r\n", 400);
  ExpectRejected("GET /v2 HTTP/2.0\r\n\r\n", 400);
  ExpectRejected("GET  /v2 HTTP/1.1\r\n\r\n", 400);
}

TEST_F(SessionTest, BoundsTheHeader) {
  limits_.max_header_bytes = 8192;
  ExpectRejected(Concat("GET /", std::string(10'000, 'a')), 431);
  ExpectRejected(Concat("GET / HTTP/1.1\r\nA: ", std::string(10'000, 'a')), 431);
  // Many small fields, too.
  std::string many = "GET / HTTP/1.1\r\n";
  while (many.size() < 10'000) many += "A: b\r\n";
  ExpectRejected(many, 431);
  Open(limits_);
  Feed(Concat("GET / HTTP/1.1\r\nA: ", std::string(8000, 'a'), "\r\n\r\n"));
  EXPECT_EQ(StatusOfLast(), 200);
}

TEST_F(SessionTest, BoundsTheFramingOfAChunk) {
  ExpectRejected(Concat("POST /infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                        std::string(100'000, 'e')),
                 400);
  ExpectRejected(Concat("POST /infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ",
                        std::string(100'000, 'e')),
                 400);
}

TEST_F(SessionTest, ReadsFieldNamesInAnyCase) {
  Open();
  Feed(
      "POST /infer HTTP/1.1\r\ncontent-LENGTH: 0\r\ninference-header-CONTENT-length: 7\r\n"
      "CONTENT-encoding: br\r\n\r\n");
  ASSERT_EQ(handler_->heads.size(), 1U);
  EXPECT_EQ(handler_->heads[0].json_size, "7");
  EXPECT_EQ(handler_->heads[0].content_encoding, "br");
  EXPECT_EQ(handler_->bodies, std::vector<std::string>{""});
}

TEST_F(SessionTest, KeepsOrClosesTheConnectionAsTheClientAsks) {
  Open();
  Feed("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(sent_.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(session_->phase(), Phase::kDone);
  Open();
  Feed("GET / HTTP/1.0\r\n\r\n");
  EXPECT_NE(sent_.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(session_->phase(), Phase::kDone);
  Open();
  Feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(sent_.find("Connection: keep-alive\r\n"), std::string::npos);
  EXPECT_EQ(session_->phase(), Phase::kOpen);
}

TEST_F(SessionTest, TellsHeadTheSizeOfABodyThatItDoesNotGet) {
  Open();
  EXPECT_EQ(Exchange("HEAD /v2 HTTP/1.1\r\n\r\n"),
            kGetAnswer.substr(0, kGetAnswer.size() - std::strlen("read /v2")));
}

TEST_F(SessionTest, DropsASmallBodyThatNobodyWants) {
  Open();
  const std::string body(50'000, 'x');
  EXPECT_EQ(Exchange(Concat("GET /v2 HTTP/1.1\r\nContent-Length: 50000\r\n\r\n", body, kGet)),
            Concat(kGetAnswer, kGetAnswer));
}

TEST_F(SessionTest, ClosesInsteadOfReadingALargeBodyThatNobodyWants) {
  ExpectRejected("GET /v2 HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n", 200);
  // What comes is read for a while, so that the answer arrives.
  EXPECT_TRUE(Feed(std::string(1 << 20, 'x')));
  EXPECT_EQ(session_->phase(), Phase::kDraining);
  Feed(std::string(64 << 20, 'x'));
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

TEST_F(SessionTest, DoesNotTellTheHandlerOfAClientThatHadItsAnswer) {
  Open();
  Feed(kGet);
  session_->OnClosed();
  EXPECT_EQ(handler_->gone, 0);
}

TEST_F(SessionTest, ClosesWhenTheServerStops) {
  Open();
  session_->OnStopping();
  EXPECT_EQ(session_->phase(), Phase::kDone);
  Open();
  handler_->answers_at_once = false;
  Feed(kPost);
  session_->OnStopping();
  EXPECT_EQ(session_->phase(), Phase::kOpen);
  handler_->AnswerNow(*session_);
  EXPECT_NE(sent_.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

TEST_F(SessionTest, DoesNotWaitForTheRestOfARequestWhenTheServerStops) {
  Open();
  Feed("POST /v2/mod");
  session_->OnStopping();
  EXPECT_EQ(session_->phase(), Phase::kDone);
  Open();
  Feed("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345");
  session_->OnStopping();
  Drain();
  EXPECT_EQ(StatusOfLast(), 503);
  EXPECT_EQ(session_->phase(), Phase::kDraining);
}

TEST_F(SessionTest, CanRefuseAllThatComes) {
  environment_ = std::make_shared<SessionEnvironment>(limits_, 1 << 30, pool_, clock_);
  session_ = std::make_shared<Session>(environment_, std::make_unique<RecordingHandler>());
  session_->RefuseAll(ErrorAnswer(503, "too many"));
  session_->OnOpened(*this);
  Drain();
  EXPECT_EQ(StatusOfLast(), 503);
  EXPECT_TRUE(Feed(kGet));
  EXPECT_EQ(session_->phase(), Phase::kDraining);
}

}  // namespace
}  // namespace despina::http
