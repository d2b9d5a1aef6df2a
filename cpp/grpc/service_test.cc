// The handlers of calls, without an engine: no model is loaded.
#include "grpc/service.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "grpc/health.h"
#include "grpc/router.h"
#include "grpc/testing/session_fixture.h"

namespace despina::grpc {
namespace {

using testing::Framed;

std::shared_ptr<const Snapshot> Ready(bool ready) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->ready = ready;
  return snapshot;
}

class ServiceTest : public testing::SessionTest {
 protected:
  ~ServiceTest() override { Close(); }
  void OnCall(Call& call) override { router_.OnCall(call); }

  static constexpr const char* kWatch = "/grpc.health.v1.Health/Watch";
  static constexpr const char* kReflection =
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

  const std::string name_ = "despina";
  const std::string version_ = "1";
  const protocol::Descriptors descriptors_;
  SharedRegions regions_;
  frontend::ControlQueue control_;
  Published<Snapshot> snapshot_{Ready(true)};
  std::shared_ptr<net::Loop> service_loop_ = std::make_shared<net::Loop>();
  Service service_{.server_name = name_,
                   .server_version = version_,
                   .access = nullptr,
                   .forwarding = nullptr,
                   .descriptors = descriptors_,
                   .allocator = pool_,
                   .regions = regions_,
                   .allow_shared_memory = false,
                   .control = control_,
                   .mailbox = std::make_shared<net::Mailbox>(service_loop_),
                   .submitter = Submitter(snapshot_),
                   .end_of_turn{*service_loop_, [] {}}};
  ServiceRouter router_{service_};
};

// ModelInferRequest{model_name: "none", id: "..."}
std::string RequestToNone(size_t id_bytes) {
  const auto size = static_cast<char>(id_bytes);
  return Framed(Concat("\x0a\x04none\x1a", std::string(1, size), std::string(id_bytes, 'i')));
}

TEST_F(ServiceTest, AResponseThatFindsTheBudgetSpentEndsTheStreamAndNotTheServer) {
  budget_ = 2000;
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
  budget_ = 64;
  Open();
  const int32_t first = Start(kWatch, Framed(""));
  const int32_t second = Start(kWatch, Framed(""));
  Exchange();
  ASSERT_EQ(service_.watches.size(), 2U);
  Charge spent(environment_->bytes_in_flight);
  ASSERT_TRUE(spent.RaiseTo(budget_));
  snapshot_.Publish(Ready(false));
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
