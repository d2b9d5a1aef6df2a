// What can be asked for, and under which paths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace despina::http {

enum class Endpoint : uint8_t {
  kInfer,
  kServerMetadata,
  kServerLive,
  kServerReady,
  kAllStatistics,
  kModelMetadata,
  kModelReady,
  kModelConfiguration,
  kModelStatistics,
  kMetrics,
};

// What operators can restrict, each as a whole.
enum class Api : uint8_t {
  kHealth,
  kMetadata,
  kInference,
  kSharedMemory,
  kModelConfiguration,
  kModelRepository,
  kStatistics,
  kTrace,
  kLogging,
  // The metrics port's own.
  kMetrics,
};
// Of those that can be restricted.
inline constexpr size_t kApiCount = static_cast<size_t>(Api::kMetrics);

struct Route {
  Endpoint endpoint;
  Method method;
  Api api;
  // {model} is one segment, as it was sent; {version} is digits.
  std::string_view path;
  std::string_view summary;
};

// The routes of the inference port and of the metrics port. The first one that matches counts.
std::span<const Route> InferenceRoutes();
std::span<const Route> MetricsRoutes();

struct RouteMatch {
  // Null: no such path.
  const Route* route = nullptr;
  // Whether the route has the method asked for.
  bool method_allowed = false;
  std::string_view model;
  std::optional<int64_t> version;
};

// Views in the result are views of `path`.
RouteMatch FindRoute(std::span<const Route> routes, Method method, std::string_view path);

}  // namespace despina::http
