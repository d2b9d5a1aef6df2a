// grpc.reflection.v1.ServerReflection, and its v1alpha.
#pragma once

#include "grpc/call.h"
#include "memory/allocator.h"
#include "protocol/reflection_proto.h"

namespace despina::grpc {

class ReflectionCall final : public CallHandler {
 public:
  // Both outlive the call.
  ReflectionCall(const protocol::Descriptors& descriptors, Allocator& allocator)
      : descriptors_(descriptors), allocator_(allocator) {}

  void OnMessage(Call& call, Message message) override;
  void OnEnd(Call& call) override { call.Finish(Ok()); }
  void OnGone() override {}
  void OnStopping(Call& call) override;

 private:
  const protocol::Descriptors& descriptors_;
  Allocator& allocator_;
};

}  // namespace despina::grpc
