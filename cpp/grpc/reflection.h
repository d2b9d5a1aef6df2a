// grpc.reflection.v1.ServerReflection, and its v1alpha.
#pragma once

#include "grpc/call.h"
#include "protocol/reflection_proto.h"

namespace despina::grpc {

class ReflectionCall final : public CallHandler {
 public:
  // They outlive the call.
  explicit ReflectionCall(const protocol::Descriptors& descriptors) : descriptors_(descriptors) {}

  void OnMessage(Call& call, Message message) override;
  void OnEnd(Call& call) override { call.Finish(Ok()); }
  void OnGone() override {}
  void OnStopping(Call& call) override;

 private:
  const protocol::Descriptors& descriptors_;
};

}  // namespace despina::grpc
