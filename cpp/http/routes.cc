#include "http/routes.h"

#include <array>
#include <charconv>

namespace despina::http {
namespace {

constexpr Method kGet = Method::kGet;
constexpr Method kPost = Method::kPost;

// The busiest first.
constexpr std::array kInferenceRoutes = {
    Route{Endpoint::kInfer, kPost, Api::kInference, "/v2/models/{model}/infer", "infer",
          "Run inference", "InferRequest", "InferResponse"},
    Route{Endpoint::kInfer, kPost, Api::kInference, "/v2/models/{model}/versions/{version}/infer",
          "infer", "Run inference", "InferRequest", "InferResponse"},
    Route{Endpoint::kGenerate, kPost, Api::kInference, "/v2/models/{model}/generate", "generate",
          "Run inference with flat JSON", "GenerateRequest", "GenerateResponse"},
    Route{Endpoint::kGenerate, kPost, Api::kInference,
          "/v2/models/{model}/versions/{version}/generate", "generate",
          "Run inference with flat JSON", "GenerateRequest", "GenerateResponse"},
    Route{Endpoint::kGenerateStream, kPost, Api::kInference, "/v2/models/{model}/generate_stream",
          "generate_stream", "Run inference with flat JSON, each response as an event",
          "GenerateRequest", kEventStream},
    Route{Endpoint::kGenerateStream, kPost, Api::kInference,
          "/v2/models/{model}/versions/{version}/generate_stream", "generate_stream",
          "Run inference with flat JSON, each response as an event", "GenerateRequest",
          kEventStream},
    Route{Endpoint::kServerLive, kGet, Api::kHealth, "/v2/health/live", "server_live",
          "Whether the server runs"},
    Route{Endpoint::kServerReady, kGet, Api::kHealth, "/v2/health/ready", "server_ready",
          "Whether the server takes requests"},
    Route{Endpoint::kServerMetadata, kGet, Api::kMetadata, "/v2", "server_metadata",
          "Name, version and extensions of the server", "", "ServerMetadata"},
    Route{Endpoint::kOpenApi, kGet, Api::kMetadata, "/v2/openapi.json", "openapi",
          "This description"},
    Route{Endpoint::kAllStatistics, kGet, Api::kStatistics, "/v2/models/stats", "all_statistics",
          "Statistics of all models", "", "Statistics"},
    Route{Endpoint::kModelReady, kGet, Api::kHealth, "/v2/models/{model}/ready", "model_ready",
          "Whether the model takes requests"},
    Route{Endpoint::kModelReady, kGet, Api::kHealth, "/v2/models/{model}/versions/{version}/ready",
          "model_ready", "Whether the model takes requests"},
    Route{Endpoint::kModelConfiguration, kGet, Api::kModelConfiguration,
          "/v2/models/{model}/config", "model_configuration", "Configuration of the model", "",
          "ModelConfiguration"},
    Route{Endpoint::kModelConfiguration, kGet, Api::kModelConfiguration,
          "/v2/models/{model}/versions/{version}/config", "model_configuration",
          "Configuration of the model", "", "ModelConfiguration"},
    Route{Endpoint::kModelStatistics, kGet, Api::kStatistics, "/v2/models/{model}/stats",
          "model_statistics", "Statistics of the model", "", "Statistics"},
    Route{Endpoint::kModelStatistics, kGet, Api::kStatistics,
          "/v2/models/{model}/versions/{version}/stats", "model_statistics",
          "Statistics of the model", "", "Statistics"},
    Route{Endpoint::kModelMetadata, kGet, Api::kMetadata, "/v2/models/{model}", "model_metadata",
          "Inputs and outputs of the model", "", "ModelMetadata"},
    Route{Endpoint::kModelMetadata, kGet, Api::kMetadata, "/v2/models/{model}/versions/{version}",
          "model_metadata", "Inputs and outputs of the model", "", "ModelMetadata"},
    Route{Endpoint::kRepositoryIndex, kPost, Api::kModelRepository, "/v2/repository/index",
          "repository_index", "Models of the repositories, and how they are", "IndexRequest",
          "Index"},
    Route{Endpoint::kSharedMemoryStatus, kGet, Api::kSharedMemory, "/v2/systemsharedmemory/status",
          "shared_memory_status", "All regions of shared memory", "", "SharedMemoryRegions"},
    Route{Endpoint::kSharedMemoryStatus, kGet, Api::kSharedMemory,
          "/v2/systemsharedmemory/region/{region}/status", "shared_memory_status",
          "A region of shared memory", "", "SharedMemoryRegions"},
    Route{Endpoint::kSharedMemoryRegister, kPost, Api::kSharedMemory,
          "/v2/systemsharedmemory/region/{region}/register", "shared_memory_register",
          "Lend a region of shared memory", "SharedMemoryRequest"},
    Route{Endpoint::kSharedMemoryUnregister, kPost, Api::kSharedMemory,
          "/v2/systemsharedmemory/region/{region}/unregister", "shared_memory_unregister",
          "Take a region of shared memory back; answered once no request uses it"},
    Route{Endpoint::kSharedMemoryUnregister, kPost, Api::kSharedMemory,
          "/v2/systemsharedmemory/unregister", "shared_memory_unregister",
          "Take all regions of shared memory back"},
    Route{Endpoint::kCudaMemoryStatus, kGet, Api::kSharedMemory, "/v2/cudasharedmemory/status",
          "cuda_memory_status", "All regions of CUDA memory: none"},
    Route{Endpoint::kCudaMemoryStatus, kGet, Api::kSharedMemory,
          "/v2/cudasharedmemory/region/{region}/status", "cuda_memory_status",
          "A region of CUDA memory: not found"},
    Route{Endpoint::kCudaMemoryRegister, kPost, Api::kSharedMemory,
          "/v2/cudasharedmemory/region/{region}/register", "cuda_memory_register",
          "Refused: there is no CUDA memory"},
    Route{Endpoint::kCudaMemoryUnregister, kPost, Api::kSharedMemory,
          "/v2/cudasharedmemory/region/{region}/unregister", "cuda_memory_unregister",
          "Nothing: there is no such region"},
    Route{Endpoint::kCudaMemoryUnregister, kPost, Api::kSharedMemory,
          "/v2/cudasharedmemory/unregister", "cuda_memory_unregister",
          "Nothing: there are no such regions"},
    Route{Endpoint::kNamedRepository, kPost, Api::kModelRepository,
          "/v2/repository/{repository}/index", "named_repository_index",
          "Refused: repositories have no names"},
    Route{Endpoint::kControl, kPost, Api::kModelRepository, "/v2/repository/models/{model}/load",
          "model_load", "Load a model, or what has changed of it", "LoadRequest"},
    Route{Endpoint::kControl, kPost, Api::kModelRepository, "/v2/repository/models/{model}/unload",
          "model_unload", "Unload a model", "UnloadRequest"},
    Route{Endpoint::kNamedRepository, kPost, Api::kModelRepository,
          "/v2/repository/{repository}/models/{model}/load", "named_repository_model_load",
          "Refused: repositories have no names"},
    Route{Endpoint::kNamedRepository, kPost, Api::kModelRepository,
          "/v2/repository/{repository}/models/{model}/unload", "named_repository_model_unload",
          "Refused: repositories have no names"},
    Route{Endpoint::kControl, kGet, Api::kLogging, "/v2/logging", "log_settings", "What is logged",
          "", "LogSettings"},
    Route{Endpoint::kControl, kPost, Api::kLogging, "/v2/logging", "log_settings_update",
          "Change what is logged", "LogSettings", "LogSettings"},
    Route{Endpoint::kControl, kGet, Api::kTrace, "/v2/trace/setting", "trace_settings",
          "Which requests are traced", "", "TraceSettings"},
    Route{Endpoint::kControl, kPost, Api::kTrace, "/v2/trace/setting", "trace_settings_update",
          "Change which requests are traced", "TraceSettings", "TraceSettings"},
    Route{Endpoint::kControl, kGet, Api::kTrace, "/v2/models/{model}/trace/setting",
          "model_trace_settings", "Which requests of the model are traced", "", "TraceSettings"},
    Route{Endpoint::kControl, kPost, Api::kTrace, "/v2/models/{model}/trace/setting",
          "model_trace_settings_update", "Change which requests of the model are traced",
          "TraceSettings", "TraceSettings"},
};

constexpr std::array kMetricsRoutes = {
    Route{Endpoint::kMetrics, kGet, Api::kMetrics, "/metrics", "metrics",
          "Metrics in Prometheus' text format"},
    Route{Endpoint::kMetrics, kGet, Api::kMetrics, "/metrics/", "metrics",
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
    } else if (name == "{repository}") {
      match.repository = value;
    } else if (name == "{region}") {
      match.region = value;
    } else {
      match.version = ParseVersion(value);
      if (!match.version) return false;
    }
  }
}

}  // namespace

std::string Decoded(std::string_view segment) {
  std::string out;
  out.reserve(segment.size());
  while (!segment.empty()) {
    unsigned char code = 0;
    const char* digits = segment.data() + 1;
    const bool coded = segment[0] == '%' && segment.size() >= 3 &&
                       std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2;
    out += coded ? static_cast<char>(code) : segment[0];
    segment.remove_prefix(coded ? 3 : 1);
  }
  return out;
}

std::span<const Route> InferenceRoutes() { return kInferenceRoutes; }
std::span<const Route> MetricsRoutes() { return kMetricsRoutes; }

RouteMatch FindRoute(std::span<const Route> routes, Method method, std::string_view path) {
  RouteMatch none;
  bool get = false;
  bool post = false;
  for (const Route& route : routes) {
    RouteMatch match;
    if (!Matches(route.path, path, match)) continue;
    match.api = route.api;
    if (route.method == method) {
      match.route = &route;
      return match;
    }
    (route.method == kGet ? get : post) = true;
    none.api = route.api;
  }
  if (get) none.allow = post ? "Allow: GET, POST\r\n" : "Allow: GET\r\n";
  if (post && !get) none.allow = "Allow: POST\r\n";
  return none;
}

}  // namespace despina::http
