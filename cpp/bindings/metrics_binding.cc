#include "bindings/metrics_binding.h"

#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "base/text.h"
#include "bindings/errors.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

using Labels = std::optional<std::map<std::string, std::string>>;

void ThrowBackendError(const Status& status) {
  SetBackendError(status);
  throw py::error_already_set();
}

// What an author's code holds, perhaps for longer than the model lives.
template <MetricKind kKind>
class Handle {
 public:
  explicit Handle(std::weak_ptr<MetricSeries> series) : series_(std::move(series)) {}

  void Add(double value) const { Require(Series()->Add(value), "grow by ", value); }
  void Set(double value) const { Require(Series()->Set(value), "be ", value); }
  void Observe(double value) const { Require(Series()->Observe(value), "count ", value); }

 private:
  std::shared_ptr<MetricSeries> Series() const {
    std::shared_ptr<MetricSeries> series = series_.lock();
    if (!series) {
      ThrowBackendError({Code::kFailedPrecondition, "the model of this metric has been unloaded"});
    }
    return series;
  }
  static void Require(bool done, std::string_view what, double value) {
    if (!done) throw py::value_error(Concat("the metric cannot ", what, std::to_string(value)));
  }

  std::weak_ptr<MetricSeries> series_;
};

using Counter = Handle<MetricKind::kCounter>;
using Gauge = Handle<MetricKind::kGauge>;
using Histogram = Handle<MetricKind::kHistogram>;

template <MetricKind kKind>
Handle<kKind> Make(ModelMetrics& metrics, const std::string& name, std::string help, Labels labels,
                   std::vector<double> bounds = {}) {
  MetricLabels pairs;
  if (labels) pairs.assign(labels->begin(), labels->end());
  auto series =
      metrics.Get(name, {.kind = kKind, .help = std::move(help), .bounds = std::move(bounds)},
                  std::move(pairs));
  if (!series.ok()) ThrowBackendError(series.status());
  return Handle<kKind>(*series);
}

}  // namespace

void BindMetrics(py::module_& module) {
  py::class_<Counter>(module, "Counter", "A number that only grows.")
      .def("add", &Counter::Add, py::arg("value") = 1.0, "Adds what is not negative.");
  py::class_<Gauge>(module, "Gauge", "A number that goes up and down.")
      .def("add", &Gauge::Add, py::arg("value"), "Adds a number.")
      .def("set", &Gauge::Set, py::arg("value"), "Replaces it.");
  py::class_<Histogram>(module, "Histogram", "Values counted by size.")
      .def("observe", &Histogram::Observe, py::arg("value"), "Counts one value.");
  py::class_<ModelMetrics>(module, "ModelMetrics", "Makes the metrics of one model.")
      .def(py::init([](MetricLabels labels) {
             return std::make_unique<ModelMetrics>(MetricRegistry::Process(), std::move(labels));
           }),
           py::arg("labels"))
      .def(
          "counter",
          [](ModelMetrics& metrics, const std::string& name, std::string help, Labels labels) {
            return Make<MetricKind::kCounter>(metrics, name, std::move(help), std::move(labels));
          },
          py::arg("name"), py::arg("help"), py::arg("labels") = py::none(),
          "A number that only grows.")
      .def(
          "gauge",
          [](ModelMetrics& metrics, const std::string& name, std::string help, Labels labels) {
            return Make<MetricKind::kGauge>(metrics, name, std::move(help), std::move(labels));
          },
          py::arg("name"), py::arg("help"), py::arg("labels") = py::none(),
          "A number that goes up and down.")
      .def(
          "histogram",
          [](ModelMetrics& metrics, const std::string& name, std::string help,
             std::vector<double> bounds, Labels labels) {
            return Make<MetricKind::kHistogram>(metrics, name, std::move(help), std::move(labels),
                                                std::move(bounds));
          },
          py::arg("name"), py::arg("help"), py::arg("bounds"), py::arg("labels") = py::none(),
          "Values counted by size.")
      .def("close", &ModelMetrics::Close, "Takes all of them from the page.");
}

}  // namespace despina::bindings
