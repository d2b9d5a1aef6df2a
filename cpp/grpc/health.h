// grpc.health.v1.Health.
#pragma once

#include <memory>
#include <string>

#include "grpc/call.h"
#include "grpc/methods.h"
#include "grpc/service.h"
#include "protocol/health_proto.h"

namespace despina::grpc {

// The server's health, or that of one of its services: they are as ready as the server. Nothing
// for other services.
protocol::ServingStatus HealthOf(std::string_view service, const Snapshot& snapshot);

// Has all those look that watch.
void LookAll(const Service& service);

class HealthCheck final : public CallHandler {
 public:
  explicit HealthCheck(Service& service) : service_(service) {}

  void OnMessage(Call& call, Message message) override;
  void OnGone() override {}

 private:
  Service& service_;
};

// Tells the health now, and again whenever it changes.
class HealthWatch final : public CallHandler {
 public:
  explicit HealthWatch(Service& service) : service_(service) {}
  ~HealthWatch() override { OnGone(); }

  void OnMessage(Call& call, Message message) override;
  void OnGone() override;
  void OnStopping(Call& call) override;
  // The state of the server may be another.
  void Look();

 private:
  Service& service_;
  // Null before it watches.
  Call* call_ = nullptr;
  std::string name_;
  protocol::ServingStatus told_ = protocol::ServingStatus::kUnknown;
};

}  // namespace despina::grpc
