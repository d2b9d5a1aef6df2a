#include "bindings/load_binding.h"

#include <pybind11/stl.h>

#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "bindings/engine_error.h"
#include "bindings/seconds.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

LoadPlan MakePlan(size_t lanes, size_t threads, std::optional<double> rate, double warm_up,
                  std::optional<double> duration, std::optional<uint64_t> requests,
                  double timeout) {
  if (lanes == 0 || threads == 0) throw py::value_error("a load has lanes and threads");
  if (rate && !(*rate > 0)) throw py::value_error("a rate is a number above 0");
  LoadPlan made{.plan = {}, .lanes = lanes, .threads = threads};
  made.plan.rate = rate;
  made.plan.warm_up = Seconds(warm_up);
  if (duration) made.plan.duration = Seconds(*duration);
  if (requests) made.plan.requests = *requests;
  made.plan.timeout = Seconds(timeout);
  return made;
}

std::vector<std::byte> Copied(const py::bytes& bytes) {
  char* data = nullptr;
  Py_ssize_t size = 0;
  PyBytes_AsStringAndSize(bytes.ptr(), &data, &size);
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  return {begin, begin + size};
}

net::Endpoint Resolved(const std::string& host, uint16_t port) {
  Result<net::Endpoint> endpoint = net::Endpoint::Resolve(host, port);
  if (!endpoint.ok()) {
    throw EngineError(endpoint.status().WithPrefix(Concat("cannot connect to ", host, ": ")));
  }
  return *std::move(endpoint);
}

template <class Target>
std::unique_ptr<load::Generator> Start(const LoadPlan& plan, Target target) {
  auto started = load::Generator::Start(plan.plan, plan.lanes, plan.threads, std::move(target));
  if (!started.ok()) throw EngineError(started.status());
  return *std::move(started);
}

std::unique_ptr<LoadRun> StartHttp(const std::string& host, uint16_t port, const py::bytes& request,
                                   bool events, const LoadPlan& plan) {
  std::vector<std::byte> bytes = Copied(request);
  const py::gil_scoped_release release;
  return std::make_unique<LoadRun>(Start(
      plan, load::HttpTarget{
                .endpoint = Resolved(host, port), .request = std::move(bytes), .events = events}));
}

using Metadata = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<LoadRun> StartGrpc(const std::string& host, uint16_t port, std::string authority,
                                   std::string path, Metadata metadata, const py::bytes& request,
                                   bool stream, size_t streams_per_connection, bool keep,
                                   const LoadPlan& plan) {
  if (streams_per_connection == 0) throw py::value_error("a connection has streams");
  std::vector<std::byte> bytes = Copied(request);
  const py::gil_scoped_release release;
  const auto kept = keep ? std::make_shared<std::string>() : nullptr;
  load::GrpcTarget target{.endpoint = Resolved(host, port),
                          .authority = std::move(authority),
                          .path = std::move(path),
                          .metadata = std::move(metadata),
                          .request = std::move(bytes),
                          .stream = stream,
                          .streams_per_connection = streams_per_connection,
                          .kept = kept};
  return std::make_unique<LoadRun>(Start(plan, std::move(target)), kept);
}

double InSeconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

py::dict DictOf(const load::Histogram& histogram, const std::vector<double>& shares) {
  py::list quantiles;
  for (const double share : shares) quantiles.append(InSeconds(histogram.Quantile(share)));
  py::dict made;
  made["count"] = histogram.count();
  made["mean"] = histogram.mean_nanoseconds() / 1e9;
  made["least"] = InSeconds(histogram.least());
  made["greatest"] = InSeconds(histogram.greatest());
  made["quantiles"] = quantiles;
  return made;
}

py::dict FinishLoad(LoadRun& run, const std::vector<double>& shares) {
  load::Figures figures;
  {
    const py::gil_scoped_release release;
    figures = run.generator().Finish();
  }
  py::dict failures;
  for (const auto& [text, times] : figures.failures.counts()) {
    // Of servers, who may put anything into it.
    PyObject* key =
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
    if (key == nullptr) throw py::error_already_set();
    failures[py::reinterpret_steal<py::str>(key)] = times;
  }
  py::dict made;
  made["latency"] = DictOf(figures.latency, shares);
  made["first_response"] = DictOf(figures.first_response, shares);
  made["between_responses"] = DictOf(figures.between_responses, shares);
  made["succeeded"] = figures.succeeded();
  made["failed"] = figures.failed;
  made["not_sent"] = figures.not_sent;
  made["responses"] = figures.responses;
  made["statuses"] = figures.statuses;
  made["failures"] = failures;
  made["finished_in_time"] = figures.finished_in_time;
  made["seconds"] = InSeconds(figures.measured);
  made["processor_seconds"] = InSeconds(figures.processor);
  made["running_seconds"] = InSeconds(figures.running);
  made["ended"] = figures.ended;
  made["fatal"] = figures.fatal;
  return made;
}

}  // namespace

void BindLoad(py::module_& module) {
  py::class_<LoadPlan>(module, "LoadPlan", "When requests are sent; times in seconds.")
      .def(py::init(&MakePlan), py::kw_only(), py::arg("lanes"), py::arg("threads"),
           py::arg("rate"), py::arg("warm_up"), py::arg("duration"), py::arg("requests"),
           py::arg("timeout"));
  py::class_<LoadRun>(module, "LoadRun", "A load that runs.")
      .def(
          "wait",
          [](LoadRun& run, double seconds) { return run.generator().Wait(Seconds(seconds)); },
          py::arg("seconds"), py::call_guard<py::gil_scoped_release>(),
          "Waits so long for its end; whether that has come.")
      .def(
          "progress",
          [](LoadRun& run) {
            const load::Generator::Progress progress = run.generator().progress();
            return std::pair(progress.ended, progress.failed);
          },
          "Requests that have ended, and of these failed, so far.")
      .def("finish", &FinishLoad, py::arg("shares"),
           "Stops it, if it has not ended. What was counted, with these quantiles.")
      .def(
          "kept", [](const LoadRun& run) { return py::bytes(run.kept()); },
          "Messages of answers, once it has finished.");
  module.def("load_http", &StartHttp, py::kw_only(), py::arg("host"), py::arg("port"),
             py::arg("request"), py::arg("events"), py::arg("plan"),
             "Sends a request, head and body, to a server again and again.");
  module.def("load_grpc", &StartGrpc, py::kw_only(), py::arg("host"), py::arg("port"),
             py::arg("authority"), py::arg("path"), py::arg("metadata"), py::arg("request"),
             py::arg("stream"), py::arg("streams_per_connection"), py::arg("keep"), py::arg("plan"),
             "Calls a server again and again, with one message behind its prefix.");
}

}  // namespace despina::bindings
