// What the engine has to know of a model, worked out by the control plane from its configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "engine/stats.h"
#include "engine/tensor.h"

namespace despina {

struct TensorDefinition {
  std::string name;
  DataType datatype = DataType::kFp32;
  // As clients see it, without the batch axis; -1: varies.
  Shape dims;
  // As the backend sees it, where that differs.
  std::optional<Shape> reshape;
  bool optional = false;
  // Of an output: the names of its classes, by index.
  std::vector<std::string> labels;
};

struct BatchingDefinition {
  // Whether requests are put together; if not, each runs alone.
  bool dynamic = false;
  std::vector<uint32_t> preferred_rows;
  Duration max_delay{0};
  bool preserve_ordering = false;
  // Requests that may wait; more are refused.
  size_t max_queue_size = 65536;
};

struct InstanceDefinition {
  std::string name;
  uint32_t ordinal = 0;
  // "cpu" or "cuda:0"
  std::string device = "cpu";
};

// One step of an ensemble. Tensors of the ensemble have names of their own.
struct StepDefinition {
  std::string model;
  // -1: the latest that is ready.
  int64_t version = -1;
  // Pairs of the member's tensor and the ensemble's.
  std::vector<std::pair<std::string, std::string>> inputs;
  std::vector<std::pair<std::string, std::string>> outputs;
};

struct ModelDefinition {
  std::string name;
  int64_t version = 1;
  // As metadata shows it: the platform, or the backend's name.
  std::string platform;
  // Rows of one batch at most; 0: the model has no batch axis.
  int64_t max_batch_size = 0;
  std::vector<TensorDefinition> inputs;
  std::vector<TensorDefinition> outputs;
  BatchingDefinition batching;
  // Whether answers may come in parts.
  bool decoupled = false;
  std::vector<InstanceDefinition> instances;
  MeasuringDefinition measuring;
  // Labels of its metrics, as the page has them.
  std::vector<std::pair<std::string, std::string>> metric_tags;
  // Of an ensemble; then there are no instances.
  std::vector<StepDefinition> steps;
  // Requests that an ensemble works on at one time.
  size_t max_inflight_requests = 4096;
  // The whole configuration as served: in its JSON form, and as the protobuf message.
  std::string config_json;
  std::string config_proto;

  bool batching_axis() const { return max_batch_size > 0; }
  bool is_ensemble() const { return !steps.empty(); }
  std::optional<uint32_t> FindInput(std::string_view name) const;
  std::optional<uint32_t> FindOutput(std::string_view name) const;
};

}  // namespace despina
