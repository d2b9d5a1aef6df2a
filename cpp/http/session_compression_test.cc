#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "base/text.h"
#include "frontend/testing/zlib.h"
#include "http/testing/session_fixture.h"

namespace despina::http {
namespace {

using frontend::testing::Compressed;
using frontend::testing::kZlibForm;
using testing::kPost;
using testing::kPostAnswer;
using testing::SessionTest;
using Phase = net::Protocol::Phase;

std::string Sized(std::string_view body) {
  return Concat("POST /infer HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: ", body.size(),
                "\r\n\r\n", body);
}

// In chunks of 7 bytes.
std::string Chunked(std::string_view body) {
  std::string request =
      "POST /infer HTTP/1.1\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
  while (!body.empty()) {
    const std::string_view part = body.substr(0, 7);
    request += Concat(part.size(), "\r\n", part, "\r\n");
    body.remove_prefix(part.size());
  }
  return request + "0\r\n\r\n";
}

class SessionCompressionTest : public SessionTest {
 protected:
  void ExpectRefused(std::string_view compressed, int status, std::string_view message) {
    for (const std::string& request : {Sized(compressed), Chunked(compressed)}) {
      ExpectRejected(request, status);
      EXPECT_NE(sent_.find(message), std::string::npos) << sent_;
      EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
      EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
    }
  }
};

TEST_F(SessionCompressionTest, GivesTheHandlerWhatWasCompressed) {
  std::string text(200'000, ' ');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i / 7);
  for (const std::string& body : {std::string("hello"), std::string(), text}) {
    for (const std::string& request :
         {Sized(Compressed(body)), Chunked(Compressed(body, kZlibForm))}) {
      for (const size_t step : {size_t{1}, size_t{5000}, request.size()}) {
        Open();
        EXPECT_TRUE(Feed(request, step));
        ASSERT_EQ(handler_->bodies.size(), 1U) << sent_;
        EXPECT_EQ(handler_->bodies[0], body);
        EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
      }
    }
  }
}

TEST_F(SessionCompressionTest, GoesOnWithTheNextRequest) {
  Open();
  EXPECT_EQ(
      Exchange(Concat(Sized(Compressed("hello")), kPost, Chunked(Compressed("hello")), kPost)),
      Concat(kPostAnswer, kPostAnswer, kPostAnswer, kPostAnswer));
}

TEST_F(SessionCompressionTest, AlignsWhatTheHandlerAsksFor) {
  std::string body(200'000, 'a');
  for (size_t aligned = 0; aligned < 130; ++aligned) {
    Open();
    handler_->aligned = aligned;
    ASSERT_TRUE(Feed(Sized(Compressed(body))));
    const auto at = reinterpret_cast<uintptr_t>(handler_->last_body.data() + aligned);
    EXPECT_EQ(at % kDataAlignment, 0U) << aligned;
  }
}

TEST_F(SessionCompressionTest, RefusesWhatCannotBeDecompressed) {
  const std::string good = Compressed("hello hello hello hello");
  ExpectRefused("hello", 400, "cannot be decompressed");
  ExpectRefused(good.substr(0, good.size() - 3), 400, "ends before its compressed data do");
  ExpectRefused(good + good, 400, "bytes behind its compressed data");
  ExpectRefused("", 400, "nothing to be decompressed");
}

TEST_F(SessionCompressionTest, RefusesABombWithoutReadingAllOfIt) {
  limits_.max_body_bytes = 1'000'000;
  ExpectRefused(Compressed(std::string(20 << 20, '\0')), 413,
                "larger than the limit of 1000000 bytes once it is decompressed");
}

TEST_F(SessionCompressionTest, TakesMemoryForBytesThatArriveAndNotForThoseThatArePromised) {
  Open(limits_, /*max_bytes_in_flight=*/100'000);
  const std::string request = Sized(Compressed(std::string(200'000, 'a')));
  const size_t head = request.find("\r\n\r\n") + 4;
  Feed(request.substr(0, head));
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
  Feed(request.substr(head));
  EXPECT_EQ(StatusOfLast(), 503) << sent_;
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(SessionCompressionTest, GivesBackWhatIsNeverCompleted) {
  const std::string compressed = Compressed(std::string(100'000, 'a'));
  for (std::string request : {Sized(compressed), Chunked(compressed)}) {
    request.resize(request.size() - 10);
    Open();
    Feed(request);
    EXPECT_GT(environment_->bytes_in_flight.used(), 0U);
    session_->OnClosed();
    EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
    EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
  }
}

TEST_F(SessionCompressionTest, IsLateOrStoppedAsAnyOtherBody) {
  const std::string request = Sized(Compressed("hello"));
  Open();
  Feed(request.substr(0, request.size() - 3));
  session_->OnDeadline();
  Drain();
  EXPECT_EQ(StatusOfLast(), 408);
  Open();
  Feed(request.substr(0, request.size() - 3));
  session_->OnStopping();
  Drain();
  EXPECT_EQ(StatusOfLast(), 503);
}

}  // namespace
}  // namespace despina::http
