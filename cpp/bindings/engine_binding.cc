#include "bindings/engine_binding.h"

#include <pybind11/stl.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "base/text.h"
#include "bindings/engine_error.h"
#include "bindings/front_end.h"
#include "bindings/kept_object.h"
#include "bindings/load_binding.h"
#include "bindings/native_binding.h"
#include "bindings/python_executor.h"
#include "bindings/seconds.h"
#include "bindings/sync_infer.h"
#include "bindings/trace_binding.h"
#include "engine/engine.h"
#include "grpc/server.h"
#include "http/server.h"
#include "memory/copy.h"
#include "memory/pool.h"
#include "protocol/metadata_json.h"
#include "protocol/stats_json.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

// The engine with the memory that its requests are made of.
class PythonEngine {
 public:
  explicit PythonEngine(size_t pool_max_cached_bytes)
      : pool_(std::make_unique<BufferPool>(PoolLimits{.max_cached_bytes = pool_max_cached_bytes})),
        engine_(*pool_) {}
  // With the lock, which instances need to end: an engine that nobody closed lets go of it first.
  ~PythonEngine() {
    Close();
    // Arrays that Python still holds lie in the pool, and give their memory back to it.
    if (pool_->statistics().bytes_in_use > 0) static_cast<void>(pool_.release());
  }
  PythonEngine(const PythonEngine&) = delete;
  PythonEngine& operator=(const PythonEngine&) = delete;

  std::shared_ptr<Model> Load(const ModelDefinition& definition, const py::object& model,
                              uint64_t capabilities, std::vector<std::shared_ptr<Model>> members) {
    std::unique_ptr<ExecutorFactory> factory = NativeFactoryOf(model);
    if (factory == nullptr && !model.is_none()) {
      factory = MakePythonExecutorFactory(
          model.ptr(), Concat("model '", definition.name, "' version ", definition.version),
          capabilities);
    } else if (factory == nullptr && !definition.is_ensemble()) {
      throw EngineError(InvalidArgument(
          Concat("model '", definition.name, "' has neither steps nor something that runs it")));
    }
    const py::gil_scoped_release release;
    Result<std::shared_ptr<Model>> loaded =
        engine_.Load(definition, std::move(factory), std::move(members));
    ThrowUnlessOk(loaded.status());
    return *std::move(loaded);
  }

  // Name, version, state and reason.
  using Row = std::tuple<std::string, std::optional<int64_t>, std::string, std::string>;

  // Labels of a model, and a number.
  using Count = std::pair<MetricLabels, uint64_t>;

  void Publish(const std::vector<Row>& rows, std::vector<std::shared_ptr<Model>> serving,
               const std::vector<Count>& reload_failures, std::map<std::string, size_t> ambiguous,
               bool namespaces, bool ready, bool live, bool exiting) {
    const py::gil_scoped_release release;
    std::vector<IndexRow> index;
    index.reserve(rows.size());
    for (const auto& [name, version, state, reason] : rows) {
      index.push_back({.name = name, .version = version, .state = state, .reason = reason});
    }
    std::vector<ReloadFailures> failures;
    failures.reserve(reload_failures.size());
    for (const auto& [labels, count] : reload_failures) {
      failures.push_back({.labels = labels, .count = count});
    }
    ThrowUnlessOk(engine_.Publish({.index = std::move(index),
                                   .serving = std::move(serving),
                                   .reload_failures = std::move(failures),
                                   .ambiguous = std::move(ambiguous),
                                   .namespaces = namespaces,
                                   .live = live,
                                   .ready = ready,
                                   .exiting = exiting}));
  }

  bool Unload(const std::shared_ptr<Model>& model, std::optional<double> timeout) {
    const py::gil_scoped_release release;
    const std::optional<Duration> limit = timeout ? std::optional(Seconds(*timeout)) : std::nullopt;
    Status status = engine_.Unload(model, limit);
    if (status.code() == Code::kDeadlineExceeded) return false;
    ThrowUnlessOk(status);
    return true;
  }

  py::dict Infer(const std::string& model, const py::dict& inputs, std::optional<int64_t> version,
                 std::optional<std::vector<std::string>> outputs, const std::string& request_id,
                 std::optional<py::dict> parameters, std::optional<double> timeout) {
    return bindings::Infer(engine_, {.model = model,
                                     .version = version,
                                     .inputs = inputs,
                                     .outputs = std::move(outputs),
                                     .request_id = request_id,
                                     .parameters = std::move(parameters),
                                     .timeout = timeout});
  }

  std::unique_ptr<ResponseStream> Stream(const std::string& model, const py::dict& inputs,
                                         std::optional<int64_t> version,
                                         std::optional<std::vector<std::string>> outputs,
                                         const std::string& request_id,
                                         std::optional<py::dict> parameters,
                                         std::optional<double> timeout, bool in_parts) {
    return std::make_unique<ResponseStream>(engine_,
                                            InferArguments{.model = model,
                                                           .version = version,
                                                           .inputs = inputs,
                                                           .outputs = std::move(outputs),
                                                           .request_id = request_id,
                                                           .parameters = std::move(parameters),
                                                           .timeout = timeout},
                                            in_parts);
  }

  std::unique_ptr<LoadRun> PutLoad(const std::string& model, const py::dict& inputs,
                                   std::optional<int64_t> version, const LoadPlan& plan) {
    load::EngineTarget target{.model = model, .version = version, .inputs = {}};
    target.inputs = InputsOf(engine_, {.model = model,
                                       .version = version,
                                       .inputs = inputs,
                                       .outputs = {},
                                       .request_id = {},
                                       .parameters = {},
                                       .timeout = {}});
    const py::gil_scoped_release release;
    auto started =
        load::Generator::Start(plan.plan, plan.lanes, plan.threads, target, engine_.snapshot());
    if (!started.ok()) throw EngineError(started.status());
    return std::make_unique<LoadRun>(*std::move(started));
  }

  // The model's metadata and its configuration, as their routes answer them.
  std::pair<std::string, std::string> Description(const std::string& name,
                                                  std::optional<int64_t> version) const {
    const py::gil_scoped_release release;
    Submitter submitter(engine_.snapshot());
    Result<ModelRef> model = submitter.Find(name, version);
    if (!model.ok()) throw EngineError(model.status());
    const ModelDefinition& definition = (*model)->definition();
    const int64_t versions[] = {definition.version};
    return {protocol::ModelMetadataJson(definition, versions), definition.config_json};
  }

  std::string Statistics(const std::optional<std::string>& name,
                         std::optional<int64_t> version) const {
    const py::gil_scoped_release release;
    std::vector<protocol::NamedCounts> counts;
    const std::shared_ptr<const Snapshot> snapshot = engine_.snapshot().Get();
    for (const auto& model : snapshot->serving) {
      const ModelDefinition& definition = model->definition();
      if (name && definition.name != *name) continue;
      if (version && definition.version != *version) continue;
      counts.push_back({definition.name, definition.version, model->Counts()});
    }
    if (name && counts.empty()) {
      throw EngineError(InvalidArgument(Concat("requested model '", *name, "' is not available")));
    }
    return protocol::StatisticsJson(counts);
  }

  std::map<std::string, uint64_t> Memory() const {
    const AllocatorStatistics pool = pool_->statistics();
    return {{"bytes_in_use", pool.bytes_in_use},
            {"bytes_cached", pool.bytes_cached},
            {"allocations", pool.allocations},
            {"cache_hits", pool.cache_hits},
            {"refusals", pool.refusals},
            {"tensor_copies", TensorCopies().copies},
            {"tensor_bytes_copied", TensorCopies().bytes}};
  }

  void Trace(const TraceSettings& global, const std::map<std::string, TraceSettings>& models) {
    engine_.tracer().Configure(global, models);
  }
  int64_t TraceRemaining(const std::string& model) { return engine_.tracer().Remaining(model); }
  py::list Traces() { return TakeTraces(engine_.tracer().sink()); }
  uint64_t TracesDropped() { return engine_.tracer().sink().dropped(); }

  uint64_t Inflight() const { return engine_.inflight(); }
  bool WaitIdle(double timeout) const {
    const py::gil_scoped_release release;
    return engine_.WaitIdle(Seconds(timeout));
  }

  // Of HTTP or gRPC, as the options say.
  template <class Options>
  std::shared_ptr<FrontEnd> StartFrontEnd(Options options) {
    std::shared_ptr<FrontEnd> front_end;
    {
      const py::gil_scoped_release release;
      Result<std::unique_ptr<net::Server>> started = Serve(
          std::move(options), engine_.snapshot(), control_, regions_, *pool_, engine_.clock());
      if (!started.ok()) throw EngineError(started.status());
      front_end = std::make_shared<FrontEnd>(*std::move(started), engine_.clock());
      if (closed_) front_end->Close(0);
    }
    front_ends_.push_back(front_end);
    return front_end;
  }

  std::shared_ptr<frontend::ControlCall> NextControlCall() {
    const py::gil_scoped_release release;
    return control_.Take();
  }
  void CloseControl() {
    const py::gil_scoped_release release;
    control_.Close();
  }

  void Close() {
    if (closed_.exchange(true)) return;
    const auto front_ends = front_ends_;
    {
      const py::gil_scoped_release release;
      control_.Close();
      for (const auto& front_end : front_ends) front_end->Close(0);
      engine_.Close();
    }
    DropReleased();
  }

 private:
  // In this order: what comes later uses what comes before.
  std::unique_ptr<BufferPool> pool_;
  Engine engine_;
  frontend::ControlQueue control_;
  SharedRegions regions_;
  std::vector<std::shared_ptr<FrontEnd>> front_ends_;
  std::atomic<bool> closed_{false};
};

std::shared_ptr<FrontEnd> ServeMetrics(PythonEngine& engine, std::string address, uint16_t port,
                                       bool counter_latencies, std::vector<double> quantiles,
                                       bool host_load, double interval) {
  http::Options options;
  options.role = http::Options::Role::kMetrics;
  options.metrics = {
      .page = {.counter_latencies = counter_latencies, .quantiles = std::move(quantiles)},
      .host_load = host_load,
      .interval = Seconds(interval)};
  options.address = std::move(address);
  options.port = port;
  return engine.StartFrontEnd(std::move(options));
}

void BindControl(py::module_& module) {
  using frontend::ControlCall;
  py::class_<ControlCall, std::shared_ptr<ControlCall>>(
      module, "ControlCall", "A request that changes something. Any thread.")
      .def_property_readonly("operation", &ControlCall::operation, "Of the route, or the RPC.")
      .def_property_readonly("model", &ControlCall::model, "That the path names, or nothing.")
      .def_property_readonly(
          "body",
          [](const ControlCall& call) {
            const auto bytes = call.body().bytes();
            return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          },
          "Of the request.")
      .def(
          "answer",
          [](ControlCall& call, const py::bytes& content) {
            std::string answer = content;
            const py::gil_scoped_release release;
            return call.Answer(std::move(answer));
          },
          py::arg("content") = py::bytes(), "Answers without an error; whether that came first.")
      .def(
          "fail",
          [](ControlCall& call, int code, std::string message) {
            const py::gil_scoped_release release;
            return call.Fail(Status(static_cast<Code>(code), std::move(message)));
          },
          py::arg("code"), py::arg("message"), "Answers with an error; whether that came first.");
}

void BindModels(py::module_& module) {
  py::class_<Model, std::shared_ptr<Model>>(module, "LoadedModel",
                                            "A version of a model that the engine runs.")
      .def("set_ready", &Model::SetReady, py::arg("ready"),
           "What the readiness route answers while it takes requests.")
      .def(
          "set_load_time",
          [](Model& model, double seconds) { model.SetLoadTime(Seconds(seconds)); },
          py::arg("seconds"), "What the metrics tell of its load.");
}

void BindServing(py::class_<PythonEngine>& engine) {
  engine
      .def("serve_http", &PythonEngine::StartFrontEnd<http::Options>, py::arg("options"),
           "Starts the HTTP front end.")
      .def("serve_grpc", &PythonEngine::StartFrontEnd<grpc::Options>, py::arg("options"),
           "Starts the gRPC front end.")
      .def("put_load", &PythonEngine::PutLoad, py::keep_alive<0, 1>(), py::arg("model"),
           py::arg("inputs"), py::kw_only(), py::arg("version") = py::none(), py::arg("plan"),
           "Submits a request again and again.")
      .def("serve_metrics", &ServeMetrics, py::kw_only(), py::arg("address"), py::arg("port"),
           py::arg("counter_latencies"), py::arg("quantiles"), py::arg("host_load"),
           py::arg("interval"), "Starts the metrics endpoint.");
}

void BindTracing(py::class_<PythonEngine>& engine) {
  engine
      .def("trace", &PythonEngine::Trace, py::arg("settings"),
           py::arg("models") = std::map<std::string, TraceSettings>(),
           "What is traced from now on, and of these models.")
      .def("trace_remaining", &PythonEngine::TraceRemaining, py::arg("model") = "",
           "What is left of the count; -1: it has no end.")
      .def("take_traces", &PythonEngine::Traces, "Those that are finished and were not taken.")
      .def("traces_dropped", &PythonEngine::TracesDropped, "How many found no room, in all.");
}

}  // namespace

void BindEngine(py::module_& module) {
  py::class_<ResponseStream>(module, "ResponseStream", "The parts of one request's answer.")
      .def("next", &ResponseStream::Next, "Waits for the next part; None after the last one.")
      .def("poll", &ResponseStream::Poll,
           "The next part; None after the last one, Ellipsis while there is none.")
      .def("fileno", &ResponseStream::Descriptor, "Readable when poll() may have something.")
      .def("close", &ResponseStream::Close, "Cancels the request unless it has ended.");
  BindControl(module);
  BindModels(module);
  py::class_<PythonEngine> engine(module, "Engine", "The models of a server.");
  engine
      .def(py::init<size_t>(), py::kw_only(),
           py::arg("pool_max_cached_bytes") = PoolLimits().max_cached_bytes)
      .def("load", &PythonEngine::Load, py::arg("definition"), py::arg("model"),
           py::arg("capabilities") = 0, py::arg("members") = std::vector<std::shared_ptr<Model>>(),
           "Starts a model's instances, or an ensemble (then without a model, and with the loaded "
           "model of each step).")
      .def("publish", &PythonEngine::Publish, py::kw_only(), py::arg("index"), py::arg("serving"),
           py::arg("reload_failures") = std::vector<PythonEngine::Count>(),
           py::arg("ambiguous") = std::map<std::string, size_t>(), py::arg("namespaces") = false,
           py::arg("ready"), py::arg("live") = true, py::arg("exiting") = false,
           "The state of the server, all at once.")
      .def("unload", &PythonEngine::Unload, py::arg("model"), py::arg("timeout") = py::none(),
           "Waits until its requests are answered, then ends its instances. False at the timeout.")
      .def("infer", &PythonEngine::Infer, py::arg("model"), py::arg("inputs"), py::kw_only(),
           py::arg("version") = py::none(), py::arg("outputs") = py::none(),
           py::arg("request_id") = "", py::arg("parameters") = py::none(),
           py::arg("timeout") = py::none(), "Runs one request and returns its outputs.")
      .def("stream", &PythonEngine::Stream, py::keep_alive<0, 1>(), py::arg("model"),
           py::arg("inputs"), py::kw_only(), py::arg("version") = py::none(),
           py::arg("outputs") = py::none(), py::arg("request_id") = "",
           py::arg("parameters") = py::none(), py::arg("timeout") = py::none(),
           py::arg("in_parts") = true, "Runs one request; its answer may come in parts.")
      .def("description", &PythonEngine::Description, py::arg("name"), py::arg("version"),
           "A model's metadata and configuration, as JSON texts.")
      .def("statistics", &PythonEngine::Statistics, py::arg("name") = py::none(),
           py::arg("version") = py::none(), "The statistics extension's JSON text.")
      .def("memory", &PythonEngine::Memory, "Figures of the buffer pool.")
      .def("inflight", &PythonEngine::Inflight, "Requests inside any model.")
      .def("wait_idle", &PythonEngine::WaitIdle, py::arg("timeout"),
           "Waits so many seconds until no request is inside any model.")
      .def(
          "collect", [](PythonEngine&) { DropReleased(); },
          "Lets go of results that nobody needs any more.")
      .def("next_control_call", &PythonEngine::NextControlCall,
           "Waits for the next request that changes something; None once that is closed.")
      .def("close_control", &PythonEngine::CloseControl,
           "Refuses such requests from now on, and those that wait.")
      .def("close", &PythonEngine::Close, "Stops the front ends, then unloads all models.");
  BindTracing(engine);
  BindServing(engine);
}

}  // namespace despina::bindings
