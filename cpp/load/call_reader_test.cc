#include "load/call_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/text.h"
#include "grpc/testing/client.h"
#include "load/testing/bytes.h"

namespace despina::load {
namespace {

using grpc::testing::Framed;
using testing::BytesOf;

// A field of text or of a message, of up to 127 bytes.
std::string Field(char tag, std::string_view content) {
  return Concat(std::string{tag, static_cast<char>(content.size())}, content);
}
std::string ErrorMessage(std::string_view text) { return Field('\x0A', text); }
std::string InferResponse(std::string_view message) { return Field('\x12', message); }

void ReadEnd(CallReader& reader, std::string_view status, std::string_view message = "") {
  reader.ReadField("grpc-status", status);
  if (!message.empty()) reader.ReadField("grpc-message", message);
}

TEST(CallReader, ReadsOneMessageHoweverItIsCut) {
  for (const std::string& message :
       {std::string(), std::string("hello"), std::string(70'000, 'x')}) {
    const std::string body = Framed(message);
    for (const size_t step : {size_t{1}, size_t{4}, size_t{7}, body.size()}) {
      std::string read;
      CallReader reader(false, [&](std::span<const std::byte> piece) {
        read.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      });
      reader.ReadField(":status", "200");
      size_t ended = 0;
      for (size_t at = 0; at < body.size(); at += step) {
        ended += reader.ReadBody(BytesOf(std::string_view(body).substr(at, step)));
      }
      ReadEnd(reader, "0");
      EXPECT_EQ(ended, 1U);
      EXPECT_EQ(reader.status(), 0);
      EXPECT_EQ(reader.Failure(), "");
      EXPECT_EQ(read, message);
    }
  }
}

TEST(CallReader, CountsMessagesOfAStreamAndTellsTheFirstError) {
  const std::string body = Framed(InferResponse("a")) + Framed("") + Framed(ErrorMessage("")) +
                           Framed(ErrorMessage("no") + InferResponse("b")) +
                           Framed(ErrorMessage("again")) + Framed(InferResponse(ErrorMessage("x")));
  for (size_t step = 1; step <= body.size(); ++step) {
    CallReader reader(true);
    size_t ended = 0;
    for (size_t at = 0; at < body.size(); at += step) {
      ended += reader.ReadBody(BytesOf(std::string_view(body).substr(at, step)));
    }
    ReadEnd(reader, "0");
    EXPECT_EQ(ended, 4U) << step;
    EXPECT_EQ(reader.Failure(), "no") << step;
  }
}

TEST(CallReader, AStreamMayHaveNoMessages) {
  CallReader reader(true);
  ReadEnd(reader, "0");
  EXPECT_EQ(reader.Failure(), "");
}

TEST(CallReader, TellsTheStatusAndItsText) {
  const auto failure = [](std::string_view status, std::string_view message) {
    CallReader reader(false);
    reader.ReadField(":status", "200");
    ReadEnd(reader, status, message);
    return reader.Failure();
  };
  EXPECT_EQ(failure("5", "there is no 'm'"), "NOT_FOUND: there is no 'm'");
  EXPECT_EQ(failure("14", ""), "UNAVAILABLE");
  EXPECT_EQ(failure("13", "100%25 %E2%82%AC%0A%"), "INTERNAL: 100% \u20AC\n%");
  EXPECT_EQ(failure("13", "%zz%4"), "INTERNAL: %zz%4");
  EXPECT_EQ(failure("2", "x"), "UNKNOWN: x");
  // That Despina has no name for.
  EXPECT_EQ(failure("16", "who?"), "status 16 of gRPC: who?");
  for (const char* none : {"", "x", "-1", "1x", "99999999999"}) {
    EXPECT_EQ(failure(none, ""), "malformed answer: no grpc-status") << none;
  }
}

TEST(CallReader, RefusesWhatIsNoAnswer) {
  const auto failure = [](std::string_view body, bool stream = false) {
    CallReader reader(stream);
    reader.ReadBody(BytesOf(body));
    ReadEnd(reader, "0");
    return reader.Failure();
  };
  EXPECT_EQ(failure(""), "malformed answer: 0 messages where there must be one");
  EXPECT_EQ(failure(Framed("a") + Framed("b")),
            "malformed answer: 2 messages where there must be one");
  for (const bool stream : {false, true}) {
    EXPECT_EQ(failure(Framed("ab").substr(0, 6), stream),
              "malformed answer: it ends within a message");
    EXPECT_EQ(failure(Framed("").substr(0, 3), stream),
              "malformed answer: it ends within a message");
    EXPECT_EQ(failure("\x01" + Framed("ab").substr(1), stream),
              "malformed answer: a message begins with 1 instead of 0");
  }
}

TEST(CallReader, TellsAStatusOfHttpWhereThereIsNoneOfGrpc) {
  CallReader reader(false);
  reader.ReadField(":status", "415");
  EXPECT_EQ(reader.Failure(), "status 415 of HTTP");
  EXPECT_EQ(reader.status(), std::nullopt);
  reader.Reset();
  reader.ReadField(":status", "200");
  EXPECT_EQ(reader.Failure(), "malformed answer: no grpc-status");
}

TEST(CallReader, KnowsNothingOfTheLastAnswer) {
  CallReader reader(true);
  EXPECT_FALSE(reader.begun());
  reader.ReadField(":status", "500");
  reader.ReadBody(BytesOf(Framed(ErrorMessage("no")) + "\x01\x02\x03\x04\x05"));
  ReadEnd(reader, "3", "no");
  EXPECT_TRUE(reader.begun());
  reader.Reset();
  EXPECT_FALSE(reader.begun());
  EXPECT_EQ(reader.ReadBody(BytesOf(Framed("a"))), 1U);
  EXPECT_EQ(reader.status(), std::nullopt);
  ReadEnd(reader, "0");
  EXPECT_EQ(reader.Failure(), "");
}

TEST(CallReader, KeepsLittleOfALongError) {
  const std::string text(1 << 20, 'x');
  CallReader reader(true);
  // Its length in three bytes.
  EXPECT_EQ(reader.ReadBody(BytesOf(Framed("\x0A\x80\x80\x40" + text))), 0U);
  ReadEnd(reader, "0");
  EXPECT_LE(reader.Failure().size(), 1024U);
  EXPECT_EQ(reader.Failure().substr(0, 3), "xxx");
  CallReader refused(false);
  ReadEnd(refused, "13", text);
  EXPECT_LE(refused.Failure().size(), 1100U);
}

}  // namespace
}  // namespace despina::load
