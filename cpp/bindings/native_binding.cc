#include "bindings/native_binding.h"

#include <pybind11/stl.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.h"
#include "bindings/engine_error.h"
#include "host/handshake.h"
#include "host/host_api.h"
#include "host/library.h"
#include "host/native_model.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

// Name, datatype, dims without the batch axis, optional.
using TensorTuple = std::tuple<std::string, std::string, std::vector<int64_t>, bool>;

std::vector<TensorTuple> TuplesOf(const std::vector<TensorDefinition>& tensors) {
  std::vector<TensorTuple> tuples;
  tuples.reserve(tensors.size());
  for (const TensorDefinition& each : tensors) {
    const auto dims = each.dims.dims();
    tuples.emplace_back(each.name, DataTypeName(each.datatype),
                        std::vector<int64_t>(dims.begin(), dims.end()), each.optional);
  }
  return tuples;
}

// The backend's own code runs without the interpreter's lock, also when the last reference goes.
template <class T>
class Closable {
 public:
  explicit Closable(std::shared_ptr<T> held) : held_(std::move(held)) {}
  ~Closable() { Close(); }
  Closable(const Closable&) = delete;
  Closable& operator=(const Closable&) = delete;

  void Close() {
    std::shared_ptr<T> gone;
    {
      const std::lock_guard lock(mutex_);
      gone = std::move(held_);
    }
    // An object that was closed before may go while the interpreter ends: the lock must not be let
    // go then, since a thread that asks for it again is ended on the spot.
    if (!gone) return;
    const py::gil_scoped_release release;
    gone.reset();
  }
  std::shared_ptr<T> Get() const {
    const std::lock_guard lock(mutex_);
    if (held_) return held_;
    throw EngineError({Code::kFailedPrecondition, "it has been closed"});
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> held_;
};

using PythonNativeModel = Closable<host::NativeModel>;
using PythonNativeBackend = Closable<host::NativeBackend>;

std::unique_ptr<PythonNativeBackend> OpenBackend(const std::string& path, const std::string& name,
                                                 const host::Options& options) {
  const py::gil_scoped_release release;
  const Result<const host::Library*> library = host::LoadLibrary(path, name);
  if (!library.ok()) throw EngineError(library.status());
  Result<std::shared_ptr<host::NativeBackend>> backend =
      host::NativeBackend::Create(**library, options);
  if (!backend.ok()) throw EngineError(backend.status());
  return std::make_unique<PythonNativeBackend>(*std::move(backend));
}

std::unique_ptr<PythonNativeModel> LoadModel(const PythonNativeBackend& backend, std::string name,
                                             std::string version, std::string path,
                                             std::string config, int32_t max_batch_size,
                                             host::Options parameters,
                                             std::vector<TensorDefinition> inputs,
                                             std::vector<TensorDefinition> outputs,
                                             const ModelMetrics& metrics) {
  std::shared_ptr<host::NativeBackend> opened = backend.Get();
  const py::gil_scoped_release release;
  Result<std::shared_ptr<host::NativeModel>> model =
      host::NativeModel::Load(std::move(opened), {.name = std::move(name),
                                                  .version = std::move(version),
                                                  .path = std::move(path),
                                                  .config = std::move(config),
                                                  .max_batch_size = max_batch_size,
                                                  .parameters = std::move(parameters),
                                                  .inputs = std::move(inputs),
                                                  .outputs = std::move(outputs),
                                                  .metric_labels = metrics.labels()});
  if (!model.ok()) throw EngineError(model.status());
  return std::make_unique<PythonNativeModel>(*std::move(model));
}

std::string AbiOf(const std::string& path) {
  const py::gil_scoped_release release;
  Result<std::string> version = host::AbiOfLibrary(path);
  if (!version.ok()) throw EngineError(version.status());
  return *std::move(version);
}

void CheckReady(const PythonNativeModel& model) {
  const std::shared_ptr<host::NativeModel> held = model.Get();
  const py::gil_scoped_release release;
  ThrowUnlessOk(held->CheckReady());
}

}  // namespace

std::unique_ptr<ExecutorFactory> NativeFactoryOf(const py::object& model) {
  if (!py::isinstance<PythonNativeModel>(model)) return nullptr;
  return host::MakeNativeExecutorFactory(model.cast<const PythonNativeModel&>().Get());
}

void BindNative(py::module_& module) {
  const despina_host_api& host = host::HostApi();
  module.attr("ABI") = host::AbiVersion(host.abi_major, host.abi_minor, host.abi_hash);
  module.def("abi_of_library", &AbiOf, py::arg("path"),
             "Version of the C interface that a library was compiled with; loads it.");
  py::class_<PythonNativeModel>(module, "NativeModel", "A version of a native backend's model.")
      .def_property_readonly(
          "max_batch_size",
          [](const PythonNativeModel& model) { return model.Get()->signature().max_batch_size; },
          "Rows of a batch at most; 0: no batch axis; -1: as configured.")
      .def_property_readonly(
          "inputs",
          [](const PythonNativeModel& model) { return TuplesOf(model.Get()->signature().inputs); },
          "Name, datatype, dims without the batch axis, and whether it is optional.")
      .def_property_readonly(
          "outputs",
          [](const PythonNativeModel& model) { return TuplesOf(model.Get()->signature().outputs); },
          "As the inputs.")
      .def_property_readonly(
          "decoupled",
          [](const PythonNativeModel& model) { return model.Get()->signature().decoupled; },
          "Whether answers may come in parts; None: as configured.")
      .def("check_ready", &CheckReady, "Raises why it cannot serve now.")
      .def("close", &PythonNativeModel::Close, "Unloads it, once its instances have ended.");
  py::class_<PythonNativeBackend>(module, "NativeBackend", "A backend in a shared library.")
      .def(py::init(&OpenBackend), py::kw_only(), py::arg("path"), py::arg("name"),
           py::arg("options"))
      .def_property_readonly(
          "warnings",
          [](const PythonNativeBackend& backend) { return backend.Get()->library().warnings; },
          "What may surprise about the library.")
      .def("load", &LoadModel, py::kw_only(), py::arg("name"), py::arg("version"), py::arg("path"),
           py::arg("config"), py::arg("max_batch_size"), py::arg("parameters"), py::arg("inputs"),
           py::arg("outputs"), py::arg("metrics"),
           "Loads a version of a model; its metrics have the labels of `metrics`.")
      .def("close", &PythonNativeBackend::Close, "Ends it, once its models are closed.");
}

}  // namespace despina::bindings
