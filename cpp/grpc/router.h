// Which handler answers which call.
#pragma once

#include "grpc/call.h"
#include "grpc/service.h"

namespace despina::grpc {

class ServiceRouter final : public Router {
 public:
  explicit ServiceRouter(Service& service) : service_(service) {}

  void OnCall(Call& call) override;

 private:
  // Why the call is not answered.
  Status Refuse(const Head& head);

  Service& service_;
};

}  // namespace despina::grpc
