// What can be asked for, and under which paths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "frontend/access.h"
#include "http/message.h"

namespace despina::http {

using frontend::Api;

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
  kSharedMemoryStatus,
  kSharedMemoryRegister,
  kSharedMemoryUnregister,
  // Memory of GPUs, of which there is none.
  kCudaMemoryStatus,
  kCudaMemoryRegister,
  kCudaMemoryUnregister,
  // Of one of several repositories, which have no names here.
  kNamedRepository,
  // The control plane's: see ControlCall.
  kControl,
  kOpenApi,
  kMetrics,
};

struct Route {
  Endpoint endpoint;
  Method method;
  Api api;
  // {model}, {repository} and {region} are one segment each; {version} is digits.
  std::string_view path;
  // Unlike any other's that does something else.
  std::string_view operation;
  std::string_view summary;
  // Of JSON bodies: see http/openapi_schemas.cc. Empty where there is none.
  std::string_view request{};
  std::string_view response{};
};

// The response that is no JSON.
inline constexpr std::string_view kEventStream = "EventStream";

// The routes of the inference port and of the metrics port. The first one that matches counts.
std::span<const Route> InferenceRoutes();
std::span<const Route> MetricsRoutes();

struct RouteMatch {
  // Null: no such path, or not with this method.
  const Route* route = nullptr;
  // Of the path; whatever the method.
  Api api = Api::kHealth;
  // The field that names the methods of the path, with its line end; empty: no such path.
  std::string_view allow{};
  std::string_view model{};
  std::string_view repository{};
  std::string_view region{};
  std::optional<int64_t> version{};
};

// Of several routes of one path, the one with the method. Views in the result are views of `path`,
// as it was sent.
RouteMatch FindRoute(std::span<const Route> routes, Method method, std::string_view path);

// A segment of a path with "%41" as "A"; what is no such code stays.
std::string Decoded(std::string_view segment);

}  // namespace despina::http
