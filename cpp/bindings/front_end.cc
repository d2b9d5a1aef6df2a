#include "bindings/front_end.h"

#include "bindings/seconds.h"

namespace py = pybind11;

namespace despina::bindings {

void FrontEnd::StopAccepting() {
  const std::lock_guard lock(mutex_);
  server_->StopAccepting();
}

bool FrontEnd::Close(double timeout) {
  const Duration limit = Seconds(timeout);
  const std::lock_guard lock(mutex_);
  return server_->Close(Later(clock_.Now(), limit));
}

void BindFrontEnd(py::module_& module) {
  py::class_<FrontEnd, std::shared_ptr<FrontEnd>>(module, "FrontEnd", "A front end.")
      .def_property_readonly("port", &FrontEnd::port, "The port it listens on.")
      .def("stop_accepting", &FrontEnd::StopAccepting, py::call_guard<py::gil_scoped_release>(),
           "Closes the listener and the idle connections.")
      .def("close", &FrontEnd::Close, py::arg("timeout") = 0.0,
           py::call_guard<py::gil_scoped_release>(),
           "Waits so many seconds for answers in flight, then closes everything. Whether all were "
           "answered.");
}

}  // namespace despina::bindings
