#include "bindings/definitions.h"

#include <pybind11/stl.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "engine/definition.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

Shape ShapeFrom(const std::string& tensor, const std::vector<int64_t>& dims) {
  if (dims.size() >= Shape::kMaxRank) {
    throw std::invalid_argument(Concat("tensor '", tensor, "' has ", dims.size(), " axes; at most ",
                                       Shape::kMaxRank - 1, " fit"));
  }
  return Shape(dims);
}

TensorDefinition MakeTensor(std::string name, const std::string& datatype,
                            const std::vector<int64_t>& dims,
                            const std::optional<std::vector<int64_t>>& reshape, bool optional,
                            std::vector<std::string> labels) {
  const std::optional<DataType> parsed = ParseDataType(datatype);
  if (!parsed) {
    throw std::invalid_argument(Concat("tensor '", name, "': unknown datatype '", datatype, "'"));
  }
  TensorDefinition tensor{.name = std::move(name),
                          .datatype = *parsed,
                          .dims = {},
                          .reshape = {},
                          .optional = optional,
                          .labels = std::move(labels)};
  tensor.dims = ShapeFrom(tensor.name, dims);
  if (reshape) tensor.reshape = ShapeFrom(tensor.name, *reshape);
  return tensor;
}

ModelDefinition MakeModel(std::string name, int64_t version, std::string platform,
                          int64_t max_batch_size, std::vector<TensorDefinition> inputs,
                          std::vector<TensorDefinition> outputs, bool dynamic_batching,
                          std::vector<uint32_t> preferred_batch_sizes,
                          int64_t max_queue_delay_microseconds, bool preserve_ordering,
                          size_t max_queue_size, std::vector<InstanceDefinition> instances,
                          std::vector<StepDefinition> steps, size_t max_inflight_requests,
                          std::string config_json, const py::bytes& config_proto, bool decoupled,
                          bool latency_summaries, std::vector<double> first_response_bounds,
                          std::vector<std::pair<std::string, std::string>> metric_tags) {
  ModelDefinition model;
  model.name = std::move(name);
  model.version = version;
  model.platform = std::move(platform);
  model.max_batch_size = max_batch_size;
  model.inputs = std::move(inputs);
  model.outputs = std::move(outputs);
  model.batching.dynamic = dynamic_batching;
  model.batching.preferred_rows = std::move(preferred_batch_sizes);
  model.batching.max_delay = std::chrono::microseconds(max_queue_delay_microseconds);
  model.batching.preserve_ordering = preserve_ordering;
  if (max_queue_size > 0) model.batching.max_queue_size = max_queue_size;
  model.instances = std::move(instances);
  model.steps = std::move(steps);
  if (max_inflight_requests > 0) model.max_inflight_requests = max_inflight_requests;
  model.config_json = std::move(config_json);
  model.config_proto = config_proto;
  model.decoupled = decoupled;
  model.measuring = {.summaries = latency_summaries,
                     .first_response_bounds = std::move(first_response_bounds)};
  model.metric_tags = std::move(metric_tags);
  return model;
}

}  // namespace

void BindDefinitions(py::module_& module) {
  using Names = std::vector<std::string>;
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  py::class_<TensorDefinition>(module, "TensorDefinition", "One input or output of a model.")
      .def(py::init(&MakeTensor), py::kw_only(), py::arg("name"), py::arg("datatype"),
           py::arg("dims"), py::arg("reshape") = py::none(), py::arg("optional") = false,
           py::arg("labels") = Names());
  py::class_<InstanceDefinition>(module, "InstanceDefinition", "One lane of execution.")
      .def(py::init([](std::string name, uint32_t ordinal, std::string device) {
             return InstanceDefinition{std::move(name), ordinal, std::move(device)};
           }),
           py::kw_only(), py::arg("name"), py::arg("ordinal"), py::arg("device") = "cpu");
  py::class_<StepDefinition>(module, "StepDefinition", "One step of an ensemble.")
      .def(
          py::init([](std::string model, int64_t version, Pairs inputs, Pairs outputs) {
            return StepDefinition{std::move(model), version, std::move(inputs), std::move(outputs)};
          }),
          py::kw_only(), py::arg("model"), py::arg("version") = -1, py::arg("inputs"),
          py::arg("outputs"));
  py::class_<ModelDefinition>(module, "ModelDefinition", "What the engine knows of a model.")
      .def(py::init(&MakeModel), py::kw_only(), py::arg("name"), py::arg("version"),
           py::arg("platform"), py::arg("max_batch_size"), py::arg("inputs"), py::arg("outputs"),
           py::arg("dynamic_batching") = false,
           py::arg("preferred_batch_sizes") = std::vector<uint32_t>(),
           py::arg("max_queue_delay_microseconds") = 0, py::arg("preserve_ordering") = false,
           py::arg("max_queue_size") = 0, py::arg("instances") = std::vector<InstanceDefinition>(),
           py::arg("steps") = std::vector<StepDefinition>(), py::arg("max_inflight_requests") = 0,
           py::arg("config_json") = "{}", py::arg("config_proto") = py::bytes(),
           py::arg("decoupled") = false, py::arg("latency_summaries") = false,
           py::arg("first_response_bounds") = std::vector<double>(),
           py::arg("metric_tags") = Pairs());
}

}  // namespace despina::bindings
