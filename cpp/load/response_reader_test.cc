#include "load/response_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/text.h"
#include "load/event_counter.h"
#include "load/testing/bytes.h"

namespace despina::load {
namespace {

using testing::BytesOf;
using Outcome = ResponseReader::Outcome;

class ResponseReaderTest : public ::testing::Test {
 protected:
  // Gives the text in pieces; what was not used comes again.
  Outcome Read(std::string_view text, size_t step) {
    Outcome outcome = Outcome::kNeedMore;
    size_t begin = 0;
    size_t end = 0;
    while (outcome == Outcome::kNeedMore && end < text.size()) {
      end = std::min(end + step, text.size());
      size_t used = 0;
      outcome = reader_.Read(BytesOf(text.substr(begin, end - begin)), used);
      begin += used;
      most_kept_ = std::max(most_kept_, end - begin);
    }
    rest_ = text.substr(begin);
    return outcome;
  }

  std::string body_;
  std::string rest_;
  size_t most_kept_ = 0;
  ResponseReader reader_{[this](std::span<const std::byte> piece) {
    body_.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }};
};

TEST_F(ResponseReaderTest, ReadsAnswersHoweverTheyAreCut) {
  const std::string answers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  };
  for (const std::string& answer : answers) {
    for (size_t step = 1; step <= answer.size(); ++step) {
      reader_.Reset();
      body_.clear();
      ASSERT_EQ(Read(answer, step), Outcome::kDone) << answer << step;
      EXPECT_EQ(reader_.status(), 200);
      EXPECT_EQ(body_, "hello");
      EXPECT_EQ(rest_, "");
      EXPECT_TRUE(reader_.keep_alive());
    }
  }
}

TEST_F(ResponseReaderTest, LeavesWhatComesAfterTheAnswer) {
  EXPECT_EQ(Read("HTTP/1.1 204 No Content\r\n\r\nHTTP", 1000), Outcome::kDone);
  EXPECT_EQ(rest_, "HTTP");
}

TEST_F(ResponseReaderTest, SaysWhetherTheConnectionStays) {
  EXPECT_EQ(Read("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 1000),
            Outcome::kDone);
  EXPECT_EQ(reader_.status(), 503);
  EXPECT_FALSE(reader_.keep_alive());
  reader_.Reset();
  EXPECT_EQ(Read("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 1000), Outcome::kDone);
  EXPECT_FALSE(reader_.keep_alive());
}

TEST_F(ResponseReaderTest, ReadsToTheEndWhereNoSizeIsSaid) {
  EXPECT_EQ(Read("HTTP/1.1 200 OK\r\n\r\nhello", 3), Outcome::kNeedMore);
  EXPECT_EQ(reader_.ReadEnd(), Outcome::kDone);
  EXPECT_EQ(body_, "hello");
  EXPECT_FALSE(reader_.keep_alive());
}

TEST_F(ResponseReaderTest, RefusesAnEndThatComesTooEarly) {
  EXPECT_EQ(reader_.ReadEnd(), Outcome::kFailed);
  EXPECT_EQ(reader_.error(), "the server closed the connection without an answer");
  for (const char* cut :
       {"HTTP/1.1 2", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 100 Go on\r\n\r\nHTTP/1",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r"}) {
    reader_.Reset();
    EXPECT_EQ(Read(cut, 4), Outcome::kNeedMore) << cut;
    EXPECT_EQ(reader_.ReadEnd(), Outcome::kFailed) << cut;
    EXPECT_EQ(reader_.error(), "the server closed the connection within the answer");
  }
}

TEST_F(ResponseReaderTest, RefusesWhatIsNoAnswer) {
  for (const char* text :
       {"SSH-2.0-OpenSSH_9.2\r\n", "GET / HTTP/1.1\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n"}) {
    for (const size_t step : {1, 7, 1000}) {
      reader_.Reset();
      // What is no head may be seen only when there is no more of it.
      const Outcome outcome = Read(text, step);
      EXPECT_EQ(outcome == Outcome::kNeedMore ? reader_.ReadEnd() : outcome, Outcome::kFailed)
          << text << step;
      EXPECT_NE(reader_.error(), "");
    }
  }
}

TEST_F(ResponseReaderTest, KeepsLittleOfWhatHasNoEnd) {
  const std::string endless(1 << 20, 'x');
  for (const std::string_view begin :
       {"HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "}) {
    const std::string text = Concat(begin, endless);
    for (const size_t step : {100, 10'000}) {
      reader_.Reset();
      most_kept_ = 0;
      EXPECT_EQ(Read(text, step), Outcome::kFailed);
      EXPECT_LE(most_kept_, ResponseReader::kMaxHeadBytes + step);
    }
  }
  reader_.Reset();
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 10'000; ++i) many += "A: b\r\n";
  EXPECT_EQ(Read(many, 10'000), Outcome::kFailed);
}

TEST(EventCounter, CountsEventsHoweverTheyAreCut) {
  const std::string text =
      "data: {\"x\":1}\n\n: a comment\n\ndata: two\ndata: lines\n\r\ndata:x\r\n\r\nid: 5\n\ndata";
  for (size_t step = 1; step <= text.size(); ++step) {
    EventCounter events;
    size_t count = 0;
    for (size_t at = 0; at < text.size(); at += step) {
      count += events.Read(BytesOf(std::string_view(text).substr(at, step)));
    }
    EXPECT_EQ(count, 3U) << step;
    EXPECT_EQ(events.error(), "");
  }
}

TEST(EventCounter, KeepsTheFirstErrorAndNotMuchOfIt) {
  EventCounter events;
  const std::string long_text(1 << 20, 'x');
  EXPECT_EQ(events.Read(BytesOf("data: " + long_text + "\n\n")), 1U);
  EXPECT_EQ(events.error(), "");
  EXPECT_EQ(events.Read(BytesOf("data: {\"error\":\"" + long_text + "\"}\n\n")), 0U);
  EXPECT_EQ(events.Read(BytesOf("data: {\"error\":\"second\"}\n\n")), 0U);
  EXPECT_EQ(events.error().substr(0, 12), "{\"error\":\"xx");
  EXPECT_LE(events.error().size(), 1024U);
  events.Reset();
  EXPECT_EQ(events.error(), "");
}

}  // namespace
}  // namespace despina::load
