// Messages of grpc.health.v1.Health.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace despina::protocol {

// The values are those of HealthCheckResponse.ServingStatus.
enum class ServingStatus : uint8_t {
  kUnknown = 0,
  kServing = 1,
  kNotServing = 2,
  // Watch answers so where Check ends with NOT_FOUND.
  kServiceUnknown = 3,
};

// The service that a HealthCheckRequest asks about, a view of the message; empty: the server.
Result<std::string_view> ParseHealthCheck(std::string_view message);

// HealthCheckResponse.
std::string HealthCheckProto(ServingStatus status);

}  // namespace despina::protocol
