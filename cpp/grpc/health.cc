#include "grpc/health.h"

#include <algorithm>
#include <array>

namespace despina::grpc {
namespace {

using protocol::ServingStatus;

constexpr std::array<std::string_view, 3> kServices = {"", "inference.GRPCInferenceService",
                                                       "grpc.health.v1.Health"};

constexpr std::string_view kUnknown = "?";

}  // namespace

ServingStatus HealthOf(std::string_view service, const Snapshot& snapshot) {
  if (std::ranges::find(kServices, service) == kServices.end()) {
    return ServingStatus::kServiceUnknown;
  }
  return snapshot.ready && !snapshot.exiting ? ServingStatus::kServing : ServingStatus::kNotServing;
}

void HealthCheck::OnMessage(Call& call, Message message) {
  const Result<std::string_view> name = protocol::ParseHealthCheck(TextOf(message.bytes));
  if (!name.ok()) return call.Finish(name.status());
  const ServingStatus status = HealthOf(*name, service_.submitter.snapshot());
  if (status == ServingStatus::kServiceUnknown) return call.Finish(NotFound("unknown service"));
  call.Respond(MessageOf(protocol::HealthCheckProto(status)));
}

void LookAll(const Service& service) {
  // One that cannot be told leaves the set.
  const auto watches = service.watches;
  for (HealthWatch* const watch : watches) watch->Look();
}

void HealthWatch::OnMessage(Call& call, Message message) {
  const Result<std::string_view> name = protocol::ParseHealthCheck(TextOf(message.bytes));
  if (!name.ok()) return call.Finish(name.status());
  // All that are unknown are alike, and may be long.
  name_ = HealthOf(*name, service_.submitter.snapshot()) == ServingStatus::kServiceUnknown
              ? kUnknown
              : *name;
  call_ = &call;
  service_.watches.insert(this);
  Look();
}

void HealthWatch::OnGone() {
  call_ = nullptr;
  service_.watches.erase(this);
}

void HealthWatch::OnStopping(Call& call) {
  if (call_ != nullptr) Look();
  OnGone();
  call.Finish(Unavailable(std::string(kStopped)));
}

void HealthWatch::Look() {
  const ServingStatus status = HealthOf(name_, service_.submitter.snapshot());
  if (status == told_) return;
  told_ = status;
  call_->Send(MessageOf(protocol::HealthCheckProto(status)));
}

}  // namespace despina::grpc
