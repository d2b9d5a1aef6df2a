#include "http/routes.h"

#include <array>
#include <charconv>

namespace despina::http {
namespace {

constexpr Method kGet = Method::kGet;
constexpr Method kPost = Method::kPost;

// The busiest first.
constexpr std::array kInferenceRoutes = {
    Route{Endpoint::kInfer, kPost, Api::kInference, "/v2/models/{model}/infer", "Run inference"},
    Route{Endpoint::kInfer, kPost, Api::kInference, "/v2/models/{model}/versions/{version}/infer",
          "Run inference"},
    Route{Endpoint::kServerLive, kGet, Api::kHealth, "/v2/health/live", "Whether the server runs"},
    Route{Endpoint::kServerReady, kGet, Api::kHealth, "/v2/health/ready",
          "Whether the server takes requests"},
    Route{Endpoint::kServerMetadata, kGet, Api::kMetadata, "/v2",
          "Name, version and extensions of the server"},
    Route{Endpoint::kAllStatistics, kGet, Api::kStatistics, "/v2/models/stats",
          "Statistics of all models"},
    Route{Endpoint::kModelReady, kGet, Api::kHealth, "/v2/models/{model}/ready",
          "Whether the model takes requests"},
    Route{Endpoint::kModelReady, kGet, Api::kHealth, "/v2/models/{model}/versions/{version}/ready",
          "Whether the model takes requests"},
    Route{Endpoint::kModelConfiguration, kGet, Api::kModelConfiguration,
          "/v2/models/{model}/config", "Configuration of the model"},
    Route{Endpoint::kModelConfiguration, kGet, Api::kModelConfiguration,
          "/v2/models/{model}/versions/{version}/config", "Configuration of the model"},
    Route{Endpoint::kModelStatistics, kGet, Api::kStatistics, "/v2/models/{model}/stats",
          "Statistics of the model"},
    Route{Endpoint::kModelStatistics, kGet, Api::kStatistics,
          "/v2/models/{model}/versions/{version}/stats", "Statistics of the model"},
    Route{Endpoint::kModelMetadata, kGet, Api::kMetadata, "/v2/models/{model}",
          "Inputs and outputs of the model"},
    Route{Endpoint::kModelMetadata, kGet, Api::kMetadata, "/v2/models/{model}/versions/{version}",
          "Inputs and outputs of the model"},
};

constexpr std::array kMetricsRoutes = {
    Route{Endpoint::kMetrics, kGet, Api::kMetrics, "/metrics",
          "Metrics in Prometheus' text format"},
    Route{Endpoint::kMetrics, kGet, Api::kMetrics, "/metrics/",
          "Metrics in Prometheus' text format"},
};

// A version's number; nothing unless it is digits that make one.
std::optional<int64_t> ParseVersion(std::string_view digits) {
  int64_t version = 0;
  // A sign is no digit.
  if (digits.empty() || digits.front() == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return version;
}

// Cuts off the text before the next slash.
std::string_view TakeSegment(std::string_view& path) {
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

bool Matches(std::string_view pattern, std::string_view path, RouteMatch& match) {
  while (true) {
    const size_t literal = std::min(pattern.find('{'), pattern.size());
    if (!path.starts_with(pattern.substr(0, literal))) return false;
    path.remove_prefix(literal);
    pattern.remove_prefix(literal);
    if (pattern.empty()) return path.empty();
    const std::string_view name = TakeSegment(pattern);
    const std::string_view value = TakeSegment(path);
    if (value.empty()) return false;
    if (name == "{model}") {
      match.model = value;
    } else {
      match.version = ParseVersion(value);
      if (!match.version) return false;
    }
  }
}

}  // namespace

std::span<const Route> InferenceRoutes() { return kInferenceRoutes; }
std::span<const Route> MetricsRoutes() { return kMetricsRoutes; }

RouteMatch FindRoute(std::span<const Route> routes, Method method, std::string_view path) {
  for (const Route& route : routes) {
    RouteMatch match;
    if (!Matches(route.path, path, match)) continue;
    match.route = &route;
    match.method_allowed = route.method == method;
    return match;
  }
  return {};
}

}  // namespace despina::http
