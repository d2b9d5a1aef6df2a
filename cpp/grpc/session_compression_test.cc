// Answers to clients that take them compressed, and requests that are.
#include <gtest/gtest.h>

#include "frontend/testing/zlib.h"
#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

using frontend::testing::Decompressed;
using frontend::testing::kZlibForm;
using testing::Answered;
using testing::Framed;

// What a body says: of each message whether it is compressed, and its bytes.
std::vector<std::pair<bool, std::string>> Messages(std::string_view body) {
  std::vector<std::pair<bool, std::string>> messages;
  while (body.size() >= 5) {
    size_t size = 0;
    for (size_t i = 1; i < 5; ++i) size = size << 8U | static_cast<unsigned char>(body[i]);
    messages.emplace_back(body[0] == 1, body.substr(5, size));
    EXPECT_EQ(messages.back().second.size(), size);
    body.remove_prefix(std::min(5 + size, body.size()));
  }
  EXPECT_TRUE(body.empty());
  return messages;
}

class SessionCompressionTest : public testing::SessionTest {
 protected:
  void Open(int level = 1) {
    testing::SessionTest::Open();
    environment_->compression_level = level;
  }
  // A call, whose message has come.
  int32_t Call(const char* path, std::string accepted) {
    const int32_t id = Start(path, Framed("question"), path != std::string_view(kStream),
                             {{"grpc-accept-encoding", std::move(accepted)}});
    Exchange();
    records_.find(path)->second.charges.clear();
    return id;
  }
  // Turns of the loop until nothing is left to be done.
  void RunLoop() {
    loop_.Finish();
    loop_.Run();
    Exchange();
  }

  const std::string large_ = std::string(300'000, 'x');
};

TEST_F(SessionCompressionTest, AnswersAreCompressedAsTheClientAccepts) {
  Open();
  for (const auto& [accepted, coding] :
       {std::pair("identity, deflate, gzip", "gzip"), {"deflate", "deflate"}}) {
    const int32_t id = Call(kUnary, accepted);
    unary().call->Respond(Text(std::string(1000, 'x')));
    Exchange();
    const Answered& answer = answered_[id];
    EXPECT_EQ(answer.fields.at("grpc-encoding"), coding);
    EXPECT_EQ(answer.status(), "0");
    const auto messages = Messages(answer.body);
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_TRUE(messages[0].first);
    const int form = coding == std::string_view("gzip") ? 15 + 16 : kZlibForm;
    EXPECT_EQ(Decompressed(messages[0].second, form), std::string(1000, 'x'));
    RunLoop();
  }
}

TEST_F(SessionCompressionTest, AnswersGoAsTheyAreToThoseWhoAcceptNothing) {
  Open();
  for (const char* accepted : {"identity", "br", "", "gzipped"}) {
    const int32_t id = Call(kUnary, accepted);
    unary().call->Respond(Text(large_));
    Exchange();
    EXPECT_EQ(answered_[id].body, Framed(large_)) << accepted;
    EXPECT_FALSE(answered_[id].fields.contains("grpc-encoding"));
  }
}

TEST_F(SessionCompressionTest, AnswersGoAsTheyAreUnlessTheServerIsToldToCompress) {
  Open(0);
  const int32_t id = Call(kUnary, "gzip");
  unary().call->Respond(Text(large_));
  Exchange();
  EXPECT_EQ(answered_[id].body, Framed(large_));
}

TEST_F(SessionCompressionTest, OnlyInferenceIsCompressed) {
  Open();
  const char* const path = "/inference.GRPCInferenceService/ModelMetadata";
  const int32_t id = Call(path, "gzip");
  records_.find(path)->second.call->Respond(Text(large_));
  Exchange();
  EXPECT_EQ(answered_[id].body, Framed(large_));
}

TEST_F(SessionCompressionTest, WhatWouldNotGetSmallerGoesAsItIs) {
  Open();
  const int32_t id = Call(kStream, "gzip");
  for (const char* text : {"", "short"}) stream().call->Send(Text(text));
  stream().call->Respond(Text(std::string(1000, 'x')));
  Exchange();
  const auto messages = Messages(answered_[id].body);
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_EQ(messages[0], std::pair(false, std::string()));
  EXPECT_EQ(messages[1], std::pair(false, std::string("short")));
  EXPECT_TRUE(messages[2].first);
}

TEST_F(SessionCompressionTest, OthersAreAnsweredWhileALargeAnswerIsCompressed) {
  Open();
  const int32_t large = Call(kUnary, "gzip");
  unary().call->Respond(Text(large_));
  const int32_t other = Call(kUnary, "identity");
  unary().call->Respond(Text("small"));
  Exchange();
  EXPECT_EQ(answered_[other].body, Framed("small"));
  EXPECT_EQ(answered_[large].body, "");
  EXPECT_FALSE(answered_[large].closed);
  RunLoop();
  EXPECT_EQ(Decompressed(Messages(answered_[large].body).at(0).second), large_);
  EXPECT_EQ(answered_[large].status(), "0");
}

TEST_F(SessionCompressionTest, MessagesOfAStreamKeepTheirOrderAndItsEndIsBehindThem) {
  Open();
  const int32_t id = Call(kStream, "gzip");
  const std::vector<std::string> sent = {std::string(100, 'a'), large_, std::string(100, 'b'),
                                         large_ + "2", std::string(100, 'c')};
  for (const std::string& text : sent) stream().call->Send(Text(text));
  stream().call->Finish(Internal("enough"));
  Exchange();
  EXPECT_EQ(answered_[id].status(), "none");
  RunLoop();
  std::vector<std::string> got;
  for (const auto& [compressed, bytes] : Messages(answered_[id].body)) {
    EXPECT_TRUE(compressed);
    got.push_back(Decompressed(bytes));
  }
  EXPECT_EQ(got, sent);
  EXPECT_EQ(answered_[id].status(), "13");
  EXPECT_EQ(answered_[id].closed, NGHTTP2_NO_ERROR);
}

TEST_F(SessionCompressionTest, AStreamGoesOnAfterALargeMessage) {
  Open();
  const int32_t id = Call(kStream, "gzip");
  stream().call->Send(Text(large_));
  RunLoop();
  EXPECT_EQ(Messages(answered_[id].body).size(), 1U);
  stream().call->Send(Text(large_));
  RunLoop();
  EXPECT_EQ(Messages(answered_[id].body).size(), 2U);
  EXPECT_FALSE(answered_[id].closed);
}

TEST_F(SessionCompressionTest, WhatIsCompressedIsChargedUntilItIsSent) {
  budget_ = 500'000;
  Open();
  const int32_t id = Call(kStream, "gzip");
  const uint64_t before = environment_->bytes_in_flight.used();
  stream().call->Send(Text(large_));
  EXPECT_EQ(stream().call->unsent(), large_.size());
  EXPECT_EQ(environment_->bytes_in_flight.used(), before + large_.size());
  RunLoop();
  EXPECT_EQ(stream().call->unsent(), 0U);
  EXPECT_EQ(environment_->bytes_in_flight.used(), before);
  EXPECT_GT(stream().sent, 0);
  stream().call->Send(Text(large_));
  stream().call->Send(Text(large_));
  RunLoop();
  EXPECT_EQ(answered_[id].status(), "8");
}

TEST_F(SessionCompressionTest, ACallThatIsCancelledMeanwhileHoldsNothing) {
  Open();
  for (const bool closed : {false, true}) {
    const int32_t id = Call(kUnary, "gzip");
    std::weak_ptr<grpc::Call> call = unary().call;
    std::exchange(unary().call, nullptr)->Respond(Text(large_));
    Exchange();
    if (closed) {
      Close();
    } else {
      nghttp2_submit_rst_stream(client_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
      Exchange();
    }
    EXPECT_FALSE(call.expired()) << "it is still in the queue";
    loop_.Finish();
    loop_.Run();
    EXPECT_TRUE(call.expired());
    EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
    EXPECT_EQ(answered_[id].body, "");
  }
  EXPECT_EQ(pool_.statistics().bytes_in_use, 0U);
}

TEST_F(SessionCompressionTest, WhoIsRefusedForHisCompressionIsToldWhichAreTaken) {
  Open();
  for (const char* encoding : {"br", "gzip", "identity"}) {
    const int32_t id = Start(kUnary, Framed("question"), true, {{"grpc-encoding", encoding}});
    Exchange();
    unary().call->Finish({Code::kUnimplemented, "no"});
    Exchange();
    const auto& fields = answered_[id].fields;
    const auto taken = fields.find("grpc-accept-encoding");
    EXPECT_EQ(taken == fields.end() ? "" : taken->second,
              encoding == std::string_view("br") ? "identity,deflate,gzip" : "");
  }
}

}  // namespace
}  // namespace despina::grpc
