// What can be asked for, and under which paths.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace despina::http {

enum class Endpoint : uint8_t {
  kInfer,
  kGenerate,
  kGenerateStream,
  kServerMetadata,
  kServerLive,
  kServerReady,
  kAllStatistics,
  kModelMetadata,
  kModelReady,
  kModelConfiguration,
  kModelStatistics,
  kRepositoryIndex,
  // Of one of several repositories, which have no names here.
  kNamedRepository,
  // The control plane's: see ControlCall.
  kControl,
  kMetrics,
};

struct Route {
  Endpoint endpoint;
  Method method;
  // {model} and {repository} are one segment each, as it was sent; {version} is digits.
  std::string_view path;
  // Unlike any other's that does something else.
  std::string_view operation;
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
  std::string_view model{};
  std::string_view repository{};
  std::optional<int64_t> version{};
};

// Views in the result are views of `path`.
RouteMatch FindRoute(std::span<const Route> routes, Method method, std::string_view path);

}  // namespace despina::http
