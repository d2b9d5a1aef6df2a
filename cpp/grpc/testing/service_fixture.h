// Calls that reach a service, without sockets: what answers them is the real thing, on models that
// need no engine.
#pragma once

#include <memory>
#include <string>

#include "frontend/testing/fake_model.h"
#include "grpc/router.h"
#include "grpc/testing/session_fixture.h"

namespace despina::grpc::testing {

class ServiceTest : public SessionTest {
 protected:
  using FakeModel = frontend::testing::FakeModel;

  ~ServiceTest() override {
    Close();
    service_.mailbox->Close();
    for (const auto& model : {held_, decoupled_}) model->End();
  }

  void OnCall(Call& call) override { ServiceRouter(service_).OnCall(call); }

  // Bytes both ways, requests to their models, answers to their calls, and once more what that
  // made room for.
  void Turn() {
    for (int i = 0; i < 2; ++i) {
      Exchange();
      // Runs until nothing is left to do.
      loop_.Finish();
      loop_.Run();
    }
    Exchange();
  }

  std::shared_ptr<FakeModel> now_ = std::make_shared<FakeModel>("now", FakeModel::Answers::kAtOnce);
  std::shared_ptr<FakeModel> held_ =
      std::make_shared<FakeModel>("held", FakeModel::Answers::kOnlyWhenReleased);
  std::shared_ptr<FakeModel> decoupled_ =
      std::make_shared<FakeModel>("decoupled", FakeModel::Answers::kOnlyWhenReleased, true);
  Published<Snapshot> snapshot_{frontend::testing::SnapshotOf({now_, held_, decoupled_})};

 private:
  const std::string name_ = "test";
  const protocol::Descriptors descriptors_;
  frontend::ControlQueue control_;
  SharedRegions regions_;

 protected:
  // The loop is the base's, and outlives it.
  Service service_{.server_name = name_,
                   .server_version = name_,
                   .access = nullptr,
                   .forwarding = nullptr,
                   .descriptors = descriptors_,
                   .allocator = pool_,
                   .regions = regions_,
                   .allow_shared_memory = false,
                   .control = control_,
                   .mailbox = std::make_shared<net::Mailbox>(
                       std::shared_ptr<net::Loop>(std::shared_ptr<void>(), &loop_)),
                   .submitter = Submitter(snapshot_),
                   .end_of_turn{loop_, [this] { service_.submitter.Flush(); }}};
};

}  // namespace despina::grpc::testing
