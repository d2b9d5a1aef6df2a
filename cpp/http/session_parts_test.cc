#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "base/text.h"
#include "http/session.h"
#include "http/testing/session_fixture.h"

namespace despina::http {
namespace {

using std::chrono::seconds;
using testing::kGet;
using testing::kGetAnswer;
using testing::kPost;
using testing::SessionTest;
using Phase = net::Protocol::Phase;

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";

// Answers to the request that is in work.
class SessionPartsTest : public SessionTest {
 protected:
  void OpenWith(std::string_view request, SessionLimits limits = {},
                uint64_t max_bytes_in_flight = uint64_t{1} << 40) {
    Open(limits, max_bytes_in_flight);
    handler_->answers_at_once = false;
    Feed(request);
  }
  Slice SliceOf(std::string_view text) {
    Buffer buffer = *pool_.Allocate(text.size());
    if (!text.empty()) std::memcpy(buffer.writable().data(), text.data(), text.size());
    return Slice(std::move(buffer));
  }
};

TEST_F(SessionPartsTest, SendsPartsAsTheyCome) {
  OpenWith(kPost);
  session_->BeginParts({});
  EXPECT_EQ(sent_, kHead);
  sent_.clear();
  session_->SendPart("data: ", SliceOf("0123456789"), "\n\n");
  EXPECT_EQ(sent_, "12\r\ndata: 0123456789\n\n\r\n");
  sent_.clear();
  session_->SendPart("x", {}, "");
  EXPECT_EQ(sent_, "1\r\nx\r\n");
  sent_.clear();
  session_->EndParts();
  EXPECT_EQ(sent_, "0\r\n\r\n");
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
  EXPECT_EQ(Exchange(kGet), kGetAnswer);
}

TEST_F(SessionPartsTest, AnEmptyPartWouldBeTheEnd) {
  OpenWith(kPost);
  session_->BeginParts({});
  sent_.clear();
  session_->SendPart("", {}, "");
  EXPECT_EQ(sent_, "");
}

TEST_F(SessionPartsTest, NoPartsAtAllAreAnEmptyAnswer) {
  OpenWith(kPost);
  session_->BeginParts({});
  session_->EndParts();
  EXPECT_EQ(sent_, Concat(kHead, "0\r\n\r\n"));
}

TEST_F(SessionPartsTest, ToAnOldClientTheEndOfTheConnectionIsTheEnd) {
  OpenWith("POST /infer HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
  session_->BeginParts({});
  session_->SendPart("a", SliceOf("b"), "c");
  session_->EndParts();
  EXPECT_EQ(sent_, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nabc");
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

TEST_F(SessionPartsTest, PartsThatWereSentInPiecesArriveWhole) {
  for (const size_t step : {1, 3, 100}) {
    OpenWith(kPost);
    write_step_ = 0;
    session_->BeginParts({});
    for (int i = 0; i < 5; ++i) session_->SendPart("data: ", SliceOf("part"), "\n\n");
    session_->EndParts();
    EXPECT_EQ(environment_->bytes_in_flight.used(), kHead.size() + 5 * 17 + 5);
    write_step_ = step;
    Drain();
    std::string expected(kHead);
    for (int i = 0; i < 5; ++i) expected += "c\r\ndata: part\n\n\r\n";
    EXPECT_EQ(sent_, expected + "0\r\n\r\n");
    EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
  }
}

TEST_F(SessionPartsTest, WhatWasSentIsLetGoOfWhileMoreComes) {
  OpenWith(kPost, {.max_body_bytes = 1000});
  session_->BeginParts({});
  // Always some bytes behind, and in all a hundred times the limit.
  write_step_ = 0;
  const std::string part(100, 'x');
  const size_t size = Concat("64\r\n", part, "\r\n").size();
  session_->SendPart("", SliceOf(part), "");
  for (int i = 0; i < 1000; ++i) {
    session_->SendPart("", SliceOf(part), "");
    for (size_t left = size; left > 0;) {
      const size_t written = std::min(left, session_->Output()[0].size());
      session_->OnWritten(written);
      left -= written;
    }
    ASSERT_EQ(session_->phase(), Phase::kOpen);
  }
  EXPECT_LT(pool_.statistics().bytes_in_use, 10'000U);
}

TEST_F(SessionPartsTest, AClientThatTakesNothingIsCutOffAtTheLimit) {
  OpenWith(kPost, {.max_body_bytes = 1000});
  write_step_ = 0;
  session_->BeginParts({});
  for (int i = 0; i < 3; ++i) session_->SendPart("", SliceOf(std::string(400, 'x')), "");
  EXPECT_EQ(session_->phase(), Phase::kDone);
  session_->OnClosed();
  EXPECT_EQ(handler_->gone, 1);
  session_->SendPart("", SliceOf("late"), "");
  session_->EndParts();
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(SessionPartsTest, AClientIsCutOffWhereTheBudgetIsSpent) {
  OpenWith(kPost, {}, 500);
  write_step_ = 0;
  session_->BeginParts({});
  session_->SendPart("", SliceOf(std::string(600, 'x')), "");
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

TEST_F(SessionPartsTest, OnlyASlowClientHasADeadline) {
  OpenWith(kPost, {.body_timeout = seconds(2)});
  session_->BeginParts({});
  EXPECT_EQ(session_->deadline(), TimePoint::max()) << "the next part may be long in coming";
  write_step_ = 0;
  clock_.Advance(seconds(10));
  session_->SendPart("", SliceOf("x"), "");
  EXPECT_EQ(session_->deadline(), clock_.Now() + seconds(2));
  clock_.Advance(seconds(1));
  session_->SendPart("", SliceOf("x"), "");
  EXPECT_EQ(session_->deadline(), clock_.Now() + seconds(1)) << "more to send is no progress";
  clock_.Advance(seconds(1));
  session_->OnDeadline();
  EXPECT_EQ(session_->phase(), Phase::kDone);
  session_->OnClosed();
  EXPECT_EQ(handler_->gone, 1);
}

TEST_F(SessionPartsTest, AClientThatGoesBetweenPartsIsNoticed) {
  OpenWith(kPost);
  session_->BeginParts({});
  EXPECT_FALSE(session_->ReadSpace().empty());
  session_->OnClosed();
  EXPECT_EQ(handler_->gone, 1);
  session_->SendPart("", SliceOf("x"), "");
  session_->EndParts();
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(SessionPartsTest, AServerThatStopsSendsTheRest) {
  OpenWith(kPost);
  session_->BeginParts({});
  session_->OnStopping();
  session_->SendPart("", SliceOf("x"), "");
  sent_.clear();
  session_->EndParts();
  EXPECT_EQ(sent_, "0\r\n\r\n");
  EXPECT_EQ(session_->phase(), Phase::kDone);
}

TEST_F(SessionPartsTest, WhatFollowsWaitsForTheEnd) {
  OpenWith(Concat(kPost, kGet));
  session_->BeginParts({});
  EXPECT_EQ(sent_, kHead);
  sent_.clear();
  session_->EndParts();
  EXPECT_EQ(sent_, Concat("0\r\n\r\n", kGetAnswer));
}

}  // namespace
}  // namespace despina::http
