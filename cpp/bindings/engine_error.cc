#include "bindings/engine_error.h"

namespace py = pybind11;

namespace despina::bindings {

void BindEngineError(py::module_& module) {
  static py::handle type = py::exception<EngineError>(module, "EngineError").release();
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const EngineError& error) {
      const py::object message = py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
          error.message().data(), static_cast<Py_ssize_t>(error.message().size()), "replace"));
      py::object value = py::reinterpret_borrow<py::object>(type)(message);
      value.attr("code") = static_cast<int>(error.code());
      value.attr("message") = message;
      PyErr_SetObject(type.ptr(), value.ptr());
    }
  });
}

}  // namespace despina::bindings
