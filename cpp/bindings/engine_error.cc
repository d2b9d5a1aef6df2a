#include "bindings/engine_error.h"

namespace py = pybind11;

namespace despina::bindings {

void BindEngineError(py::module_& module) {
  static py::handle type = py::exception<EngineError>(module, "EngineError").release();
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const EngineError& error) {
      py::object value = py::reinterpret_borrow<py::object>(type)(error.what());
      value.attr("code") = static_cast<int>(error.code());
      value.attr("message") = error.what();
      PyErr_SetObject(type.ptr(), value.ptr());
    }
  });
}

}  // namespace despina::bindings
