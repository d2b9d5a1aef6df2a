// The module `despina._engine`.
#define DESPINA_NUMPY_TABLE
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "base/log.h"
#include "bindings/arrays.h"
#include "bindings/batch_object.h"
#include "bindings/definitions.h"
#include "bindings/detached_object.h"
#include "bindings/engine_binding.h"
#include "bindings/engine_error.h"
#include "bindings/front_end.h"
#include "bindings/grpc_binding.h"
#include "bindings/http_binding.h"
#include "bindings/load_binding.h"
#include "bindings/metrics_binding.h"
#include "bindings/native_binding.h"
#include "bindings/numpy_api.h"
#include "bindings/trace_binding.h"

namespace py = pybind11;

namespace {

using despina::log::Level;

Level LevelOf(int level) { return static_cast<Level>(level < 0 ? 0 : level > 3 ? 3 : level); }

void BindLog(py::module_& module) {
  module.def(
      "log",
      [](int level, const std::string& text, const std::string& file, unsigned line,
         const despina::log::Fields& fields) {
        // A file may be slow, and other threads want the lock.
        const py::gil_scoped_release release;
        despina::log::Write(LevelOf(level), text, file, line, fields);
      },
      py::arg("level"), py::arg("text"), py::arg("file"), py::arg("line"),
      py::arg("fields") = despina::log::Fields(),
      "Writes a line; levels are 0 error, 1 warning, 2 information, 3 verbose.");
  module.def(
      "enable_log", [](int level, bool enabled) { despina::log::Enable(LevelOf(level), enabled); },
      py::arg("level"), py::arg("enabled"), "Whether lines of this level are written.");
  module.def(
      "set_log_format",
      [](int format) {
        if (format < 0 || format > 2) throw py::value_error("formats are 0, 1 and 2");
        despina::log::SetFormat(static_cast<despina::log::Format>(format));
      },
      py::arg("format"), "0: the default, 1: with ISO 8601 times, 2: JSON lines.");
  module.def(
      "open_log_file",
      [](const std::string& path) {
        despina::bindings::ThrowUnlessOk(despina::log::OpenFile(path));
      },
      py::arg("path"), "Where lines are appended; without a path, standard error.");
  module.def(
      "reopen_log_file", [] { despina::bindings::ThrowUnlessOk(despina::log::ReopenFile()); },
      "Opens the file again under its name.");
}

}  // namespace

PYBIND11_MODULE(_engine, module) {
  module.doc() = "The compiled engine. Only despina.engine imports it.";
  if (_import_array() < 0 || !despina::bindings::PrepareArrays() ||
      !despina::bindings::PrepareBatchTypes(module.ptr()) ||
      !despina::bindings::PrepareDetachedType(module.ptr())) {
    throw py::error_already_set();
  }
  despina::bindings::BindEngineError(module);
  despina::bindings::BindDefinitions(module);
  despina::bindings::BindMetrics(module);
  despina::bindings::BindNative(module);
  despina::bindings::BindHttpOptions(module);
  despina::bindings::BindGrpcOptions(module);
  despina::bindings::BindFrontEnd(module);
  despina::bindings::BindTraces(module);
  despina::bindings::BindLoad(module);
  despina::bindings::BindEngine(module);
  BindLog(module);
}
