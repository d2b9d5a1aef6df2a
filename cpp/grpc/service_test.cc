#include "grpc/service.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "grpc/health.h"
#include "grpc/testing/service_fixture.h"

namespace despina::grpc {
namespace {

using testing::Framed;

class ServiceTest : public testing::ServiceTest {
 protected:
  static constexpr const char* kWatch = "/grpc.health.v1.Health/Watch";
  static constexpr const char* kReflection =
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
};

// ModelInferRequest{model_name: "none", id: "..."}
std::string RequestToNone(size_t id_bytes) {
  const auto size = static_cast<char>(id_bytes);
  return Framed(Concat("\x0a\x04none\x1a", std::string(1, size), std::string(id_bytes, 'i')));
}

TEST_F(ServiceTest, AResponseThatFindsTheBudgetSpentEndsTheStreamAndNotTheServer) {
  budget_ = 10'000;
  Open();
  const int32_t id = Start(kStream, "", false);
  Exchange();
  // Errors of requests wait for a client that reads nothing.
  deaf_client_ = true;
  for (int i = 0; i < 100; ++i) SendMore(id, RequestToNone(100), false);
  Exchange();
  deaf_client_ = false;
  Exchange();
  EXPECT_EQ(answered_[id].status(), "8");
}

TEST_F(ServiceTest, AWatchThatCannotBeToldLeavesTheOthersThatWatch) {
  budget_ = 10'000;
  Open();
  const int32_t first = Start(kWatch, Framed(""));
  const int32_t second = Start(kWatch, Framed(""));
  Exchange();
  ASSERT_EQ(service_.watches.size(), 2U);
  Charge spent(environment_->bytes_in_flight);
  ASSERT_TRUE(spent.RaiseTo(budget_ - environment_->bytes_in_flight.used()));
  snapshot_.Publish(frontend::testing::SnapshotOf({}, false));
  LookAll(service_);
  Exchange();
  EXPECT_EQ(answered_[first].status(), "8");
  EXPECT_EQ(answered_[second].status(), "8");
  EXPECT_TRUE(service_.watches.empty());
}

TEST_F(ServiceTest, AClientThatMayStillReflectDoesNotHoldUpTheEnd) {
  Open();
  const int32_t id = Start(kReflection, "", false);
  Exchange();
  session_->OnStopping();
  Exchange();
  EXPECT_EQ(answered_[id].status(), "14");
  EXPECT_EQ(session_->phase(), net::Protocol::Phase::kDraining);
}

TEST_F(ServiceTest, AWatchThatWasOnItsWayWhenTheServerEndedDoesNotHoldUpTheEnd) {
  Open();
  Exchange();
  const int32_t id = Start(kWatch, Framed(""));
  const std::string on_its_way = FromClient();
  session_->OnStopping();
  session_loop_.FlushAll();
  DrainServer();
  Feed(on_its_way);
  Exchange();
  EXPECT_EQ(answered_[id].status(), "14");
  EXPECT_EQ(session_->phase(), net::Protocol::Phase::kDraining);
}

}  // namespace
}  // namespace despina::grpc
