#include "grpc/infer_call.h"

#include <gtest/gtest.h>

#include "grpc/testing/service_fixture.h"

namespace despina::grpc {
namespace {

using testing::Framed;
using testing::InferMessage;

class InferCallTest : public testing::ServiceTest {};

TEST_F(InferCallTest, AnswersWithWhatTheModelMade) {
  Open();
  const int32_t id = Start(kUnary, Framed(InferMessage("now", "one", 2.5F)));
  Turn();
  EXPECT_EQ(answered_[id].status(), "0") << answered_[id].fields["grpc-message"];
  EXPECT_NE(answered_[id].body.find("one"), std::string::npos);
  EXPECT_EQ(environment_->bytes_in_flight.used(), 0U);
}

TEST_F(InferCallTest, RequestThatOutlivesItsServerGaveBackToABudgetThatWasGone) {
  Open();
  Start(kUnary, Framed(InferMessage("held", "one")));
  Start(kStream, Framed(InferMessage("decoupled", "two")), false);
  Turn();
  const std::weak_ptr<SessionEnvironment> environment = environment_;
  Close();
  service_.mailbox->Close();
  environment_.reset();
  ASSERT_FALSE(environment.expired());
  EXPECT_GT(environment.lock()->bytes_in_flight.used(), 0U);
  held_->End();
  decoupled_->End();
  EXPECT_TRUE(environment.expired());
}

}  // namespace
}  // namespace despina::grpc
