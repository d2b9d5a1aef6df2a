// Calls that reach a service, without sockets: what answers them is the real thing, on models that
// need no engine.
#pragma once

#include <cstring>
#include <memory>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>

#include "frontend/testing/fake_model.h"
#include "grpc/router.h"
#include "grpc/testing/session_fixture.h"

namespace despina::grpc::testing {

// A ModelInferRequest with INPUT0 of so many floats, of which the first says `value`.
inline std::string InferMessage(std::string_view model, std::string_view id, float value = 1,
                                size_t floats = 1) {
  std::string tensor;
  protozero::pbf_writer input(tensor);
  input.add_string(1, "INPUT0");
  input.add_string(2, "FP32");
  input.add_int64(3, static_cast<int64_t>(floats));
  std::string contents(floats * sizeof value, '\0');
  std::memcpy(contents.data(), &value, sizeof value);
  std::string message;
  protozero::pbf_writer request(message);
  request.add_string(1, model.data(), model.size());
  request.add_string(3, id.data(), id.size());
  request.add_message(5, tensor);
  request.add_bytes(7, contents);
  return message;
}

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
