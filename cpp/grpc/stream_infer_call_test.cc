#include "grpc/stream_infer_call.h"

#include <gtest/gtest.h>

#include <string>

#include "grpc/testing/service_fixture.h"

namespace despina::grpc {
namespace {

using testing::Framed;
using testing::InferMessage;

class StreamInferCallTest : public testing::ServiceTest {
 protected:
  // Whether the client was sent this.
  bool Received(int32_t stream, std::string_view text) {
    return answered_[stream].body.find(text) != std::string::npos;
  }
};

TEST_F(StreamInferCallTest, AnswersInTheOrderOfTheRequests) {
  Open();
  const int32_t id =
      Start(kStream,
            Framed(InferMessage("held", "first")) + Framed(InferMessage("now", "second")) +
                Framed(InferMessage("nobody", "third")),
            true);
  Turn();
  EXPECT_EQ(answered_[id].body, "");
  held_->Release();
  Turn();
  const std::string& body = answered_[id].body;
  EXPECT_LT(body.find("first"), body.find("second"));
  EXPECT_LT(body.find("second"), body.find("third"));
  EXPECT_TRUE(Received(id, "'nobody'"));
  EXPECT_EQ(answered_[id].status(), "0");
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(StreamInferCallTest, PartsOfDecoupledModelsComeAsTheyAreMade) {
  Open();
  const int32_t id = Start(
      kStream, Framed(InferMessage("held", "first")) + Framed(InferMessage("decoupled", "second")),
      true);
  Turn();
  decoupled_->SendPart(1);
  Turn();
  EXPECT_TRUE(Received(id, "second"));
  decoupled_->End();
  held_->Release();
  Turn();
  EXPECT_TRUE(Received(id, "first"));
  EXPECT_EQ(answered_[id].status(), "0");
}

TEST_F(StreamInferCallTest, AnswerThatTheBudgetRefusesTookOneFromPlacesThatWereGone) {
  Open();
  const int32_t id =
      Start(kStream, Framed(InferMessage("held", "first")) + Framed(InferMessage("now", "second")),
            false);
  Turn();
  Charge rest(environment_->bytes_in_flight);
  ASSERT_TRUE(rest.RaiseTo(budget_ - environment_->bytes_in_flight.used()));
  held_->Release();
  Turn();
  EXPECT_EQ(answered_[id].status(), "8");
}

TEST_F(StreamInferCallTest, ClientThatDoesNotReadPartsIsCutOff) {
  Open();
  const int32_t id =
      Start(kStream, Framed(InferMessage("decoupled", std::string(1 << 20, 'i'))), false);
  Turn();
  deaf_client_ = true;
  for (int i = 0; i < 70; ++i) {
    decoupled_->SendPart(1);
    Turn();
  }
  deaf_client_ = false;
  Turn();
  EXPECT_EQ(answered_[id].status(), "8");
  EXPECT_TRUE(answered_[id].fields["grpc-message"].starts_with("the client is too slow"));
}

TEST_F(StreamInferCallTest, AnswersOfModelsThatAnswerOnceWereTakenForPartsOfASlowClient) {
  Open();
  const int32_t id = Start(kStream, "", false);
  // Together more than may wait of a decoupled model's parts.
  for (int i = 0; i < 70; ++i) {
    SendMore(id, Framed(InferMessage("held", "i", 1, size_t{1} << 18)), i == 69);
    Turn();
  }
  deaf_client_ = true;
  held_->Release();
  Turn();
  deaf_client_ = false;
  Turn();
  EXPECT_EQ(answered_[id].status(), "0") << answered_[id].fields["grpc-message"];
  EXPECT_GT(answered_[id].body.size(), size_t{70} << 20);
}

TEST_F(StreamInferCallTest, AnswersThatWaitForEarlierOnesWereNotCharged) {
  Open();
  const int32_t id = Start(kStream, Framed(InferMessage("held", "first")), false);
  Turn();
  const uint64_t before = environment_->bytes_in_flight.used();
  SendMore(id, Framed(InferMessage("now", "second", 1, 1000)), false);
  SendMore(id, Framed(InferMessage("nobody", std::string(1000, 'i'))), false);
  Turn();
  EXPECT_GT(environment_->bytes_in_flight.used(), before + 5000);
  held_->Release();
  Turn();
  // The call's own, while the stream is open.
  EXPECT_LT(environment_->bytes_in_flight.used(), before);
}

TEST_F(StreamInferCallTest, AStreamThatIsNotReceivingTookRequestsByTheThousands) {
  Open();
  const std::string one = Framed(InferMessage("held", "i"));
  std::string many;
  constexpr size_t kMany = 5000;
  for (size_t i = 0; i < kMany; ++i) many += one;
  const int32_t id = Start(kStream, many, true);
  Turn();
  size_t answered = 0;
  for (int i = 0; i < 100 && !answered_[id].closed; ++i) {
    const size_t arrived = held_->arrived();
    EXPECT_LE(arrived - answered, 512U);
    EXPECT_GT(arrived, answered);
    answered = arrived;
    held_->Release();
    Turn();
  }
  EXPECT_EQ(answered, kMany);
  EXPECT_EQ(answered_[id].status(), "0");
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(StreamInferCallTest, BytesThatAreHeldBackAreChargedAndGoWithTheCall) {
  Open();
  std::string many;
  for (size_t i = 0; i < 600; ++i) many += Framed(InferMessage("held", "i", 1, 100));
  const int32_t id = Start(kStream, many, false);
  Turn();
  EXPECT_GT(environment_->bytes_in_flight.used(), 550U * 400);
  nghttp2_submit_rst_stream(client_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  Turn();
  held_->End();
  Turn();
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

}  // namespace
}  // namespace despina::grpc
