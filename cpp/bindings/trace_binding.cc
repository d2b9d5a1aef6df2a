#include "bindings/trace_binding.h"

#include <pybind11/stl.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace py = pybind11;

namespace despina::bindings {
namespace {

// Of a finished trace: steps are handed out one by one, and live with their first.
using TracePointer = std::shared_ptr<Trace>;

py::str Text(std::string_view text) {
  PyObject* const made =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

py::int_ Number(std::span<const uint8_t> bytes) {
  const py::bytes whole(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return py::int_(py::type::of(py::int_(0)).attr("from_bytes")(whole, "big"));
}

py::list Stamps(const Trace& trace) {
  py::list stamps;
  for (const auto& [activity, when] : trace.stamps) {
    stamps.append(
        py::make_tuple(Text(TraceActivityName(activity)), when.time_since_epoch().count()));
  }
  return stamps;
}

py::list Tensors(const Trace& trace) {
  py::list tensors;
  for (const Trace::TensorData& each : trace.tensors) {
    py::list shape;
    for (size_t i = 0; i < each.tensor.shape.rank(); ++i) shape.append(each.tensor.shape[i]);
    const auto& data = each.tensor.data;
    tensors.append(
        py::make_tuple(Text(TraceActivityName(each.activity)), Text(each.name),
                       Text(DataTypeName(each.tensor.datatype)), py::tuple(shape),
                       py::bytes(reinterpret_cast<const char*>(data.data()), data.size())));
  }
  return tensors;
}

py::list Steps(const TracePointer& trace) {
  py::list steps;
  for (const auto& step : trace->steps) steps.append(py::cast(TracePointer(trace, step.get())));
  return steps;
}

}  // namespace

py::list TakeTraces(TraceSink& sink) {
  py::list traces;
  for (std::unique_ptr<Trace>& each : sink.Take()) {
    traces.append(py::cast(TracePointer(std::move(each))));
  }
  return traces;
}

void BindTraces(py::module_& module) {
  py::class_<TraceSettings>(module, "TraceSettings", "Which requests of a model are traced.")
      .def(py::init([](bool timestamps, bool tensors, uint32_t rate, int64_t count,
                       bool follow_context) {
             return TraceSettings{.levels = {.timestamps = timestamps, .tensors = tensors},
                                  .rate = rate,
                                  .count = count,
                                  .follow_context = follow_context};
           }),
           py::kw_only(), py::arg("timestamps"), py::arg("tensors"), py::arg("rate"),
           py::arg("count"), py::arg("follow_context"));
  py::class_<Trace, std::shared_ptr<Trace>>(module, "Trace", "What became of a request, and when.")
      .def_readonly("id", &Trace::id, "Its number.")
      .def_readonly("parent_id", &Trace::parent_id, "That of the request it is a step of, or 0.")
      .def_property_readonly(
          "model", [](const Trace& trace) { return Text(trace.model); },
          "Empty: no model has taken the request.")
      .def_readonly("version", &Trace::version, "Of the model.")
      .def_property_readonly(
          "request_id", [](const Trace& trace) { return Text(trace.request_id); },
          "The client's name for it.")
      .def_property_readonly("timestamps", &Stamps, "Activities, and nanoseconds of the clock.")
      .def_property_readonly("tensors", &Tensors,
                             "Activity, name, datatype, shape and bytes of each.")
      .def_property_readonly(
          "steps", [](const std::shared_ptr<Trace>& trace) { return Steps(trace); },
          "Of an ensemble.")
      .def_property_readonly(
          "trace_id", [](const Trace& trace) { return Number(trace.context.trace); },
          "Of all that a client asked for.")
      .def_property_readonly(
          "parent_span", [](const Trace& trace) { return Number(trace.context.parent); },
          "The client's, or that of the request it is a step of; 0: there is none.")
      .def_property_readonly(
          "front_span", [](const Trace& trace) { return Number(trace.context.front); },
          "Of the front end.")
      .def_property_readonly(
          "model_span", [](const Trace& trace) { return Number(trace.context.model); },
          "Within the model.")
      .def_property_readonly(
          "compute_span", [](const Trace& trace) { return Number(trace.context.compute); },
          "Of the execution.")
      .def_property_readonly(
          "trace_state", [](const Trace& trace) { return Text(trace.context.state); },
          "What came with the client's context.")
      .def_property_readonly(
          "error", [](const Trace& trace) { return Text(trace.status.message()); },
          "Why it failed, or nothing.")
      .def_readonly("batch_rows", &Trace::batch_rows, "Of the batch that it ran in.")
      .def_readonly("batch_requests", &Trace::batch_requests, "In that batch.")
      .def_property_readonly(
          "instance", [](const Trace& trace) { return Text(trace.instance); }, "That ran it.");
}

}  // namespace despina::bindings
