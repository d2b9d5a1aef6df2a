#include "host/native_model.h"

#include <exception>
#include <optional>
#include <span>
#include <utility>

#include "base/text.h"
#include "host/calling.h"
#include "host/host_api.h"
#include "host/metric_api.h"
#include "host/requests.h"
#include "host/translate.h"

namespace despina::host {
namespace {

// What a model may say of itself, so that a stray number is no allocation.
constexpr size_t kMaxTensors = 65536;

std::vector<despina_pair> ToAbi(const Options& options) {
  std::vector<despina_pair> pairs;
  pairs.reserve(options.size());
  for (const auto& [key, value] : options) pairs.push_back({host::ToAbi(key), host::ToAbi(value)});
  return pairs;
}

std::vector<despina_tensor_spec> ToAbi(const std::vector<TensorDefinition>& tensors) {
  std::vector<despina_tensor_spec> specs;
  specs.reserve(tensors.size());
  for (const TensorDefinition& tensor : tensors) {
    specs.push_back({.name = host::ToAbi(tensor.name),
                     .shape = tensor.dims.dims().data(),
                     .ndim = static_cast<int32_t>(tensor.dims.rank()),
                     .datatype = host::ToAbi(tensor.datatype),
                     .optional = tensor.optional ? 1U : 0U});
  }
  return specs;
}

Result<TensorDefinition> DefinitionOf(const despina_tensor_spec& spec, std::string_view kind) {
  TensorDefinition tensor;
  tensor.name = View(spec.name);
  const std::string what = Concat(kind, " '", tensor.name, "' of its signature");
  const auto datatype = FromAbi(spec.datatype);
  if (!datatype) return InvalidArgument(Concat(what, " has a datatype that no tensor has"));
  const Result<Shape> dims = ShapeOf(spec.shape, spec.ndim, what);
  if (!dims.ok()) return dims.status();
  for (const int64_t dim : dims->dims()) {
    if (dim < -1) return InvalidArgument(Concat(what, " has shape ", ToText(*dims)));
  }
  tensor.datatype = *datatype;
  tensor.dims = *dims;
  tensor.optional = spec.optional != 0;
  return tensor;
}

Status ReadSpecs(const despina_tensor_spec* specs, size_t count, std::string_view kind,
                 std::vector<TensorDefinition>& out) {
  if (count > kMaxTensors || (count > 0 && specs == nullptr)) {
    return InvalidArgument(Concat("its signature has ", count, ' ', kind, 's'));
  }
  for (const despina_tensor_spec& spec : std::span(specs, count)) {
    Result<TensorDefinition> tensor = DefinitionOf(spec, kind);
    if (!tensor.ok()) return tensor.status();
    out.push_back(*std::move(tensor));
  }
  return Ok();
}

// Calls a backend's function that gives a code. Exceptions must not cross, but those that do are
// stopped here.
template <class Function>
Status Call(std::string_view who, Function function) {
  const Calling calling(who);
  despina_error error{};
  try {
    const despina_code code = function(&error);
    return code == DESPINA_OK ? Ok() : StatusOf(code, error);
  } catch (const std::exception& thrown) {
    return Internal(Concat("the backend threw an exception: ", thrown.what()));
  } catch (...) {
    return Internal("the backend threw an exception");
  }
}

Status GaveNothing(std::string_view what) {
  return Internal(Concat("the backend gave no ", what, " and no error"));
}

}  // namespace

Result<std::shared_ptr<NativeBackend>> NativeBackend::Create(const Library& library,
                                                             const Options& options) {
  const std::vector<despina_pair> pairs = ToAbi(options);
  const std::string who = Concat("backend '", View(library.api.name), "'");
  despina_backend* made = nullptr;
  const Status status = Call(who, [&](despina_error* error) {
    return library.api.backend_create(&HostApi(), pairs.data(), pairs.size(), &made, error);
  });
  if (!status.ok()) return status;
  if (made == nullptr) return GaveNothing("backend");
  return std::shared_ptr<NativeBackend>(new NativeBackend(library, made));
}

NativeBackend::~NativeBackend() { api().backend_destroy(backend_); }

// The C interface's view of a specification, and what it refers to.
class NativeModel::Spec {
 public:
  explicit Spec(NativeModelSpec spec)
      : spec_(std::move(spec)),
        parameters_(ToAbi(spec_.parameters)),
        inputs_(ToAbi(spec_.inputs)),
        outputs_(ToAbi(spec_.outputs)),
        metrics_(MetricRegistry::Process(), spec_.metric_labels),
        view_{.struct_size = sizeof(despina_model_spec),
              .max_batch_size = spec_.max_batch_size,
              .name = host::ToAbi(spec_.name),
              .version = host::ToAbi(spec_.version),
              .path = host::ToAbi(spec_.path),
              .config = host::ToAbi(spec_.config),
              .parameters = parameters_.data(),
              .parameter_count = parameters_.size(),
              .inputs = inputs_.data(),
              .input_count = inputs_.size(),
              .outputs = outputs_.data(),
              .output_count = outputs_.size(),
              .metrics = host::ToAbi(metrics_)} {}

  const NativeModelSpec& spec() const { return spec_; }
  const despina_model_spec& view() const { return view_; }

 private:
  const NativeModelSpec spec_;
  const std::vector<despina_pair> parameters_;
  const std::vector<despina_tensor_spec> inputs_;
  const std::vector<despina_tensor_spec> outputs_;
  ModelMetrics metrics_;
  const despina_model_spec view_;
};

NativeModel::NativeModel(std::shared_ptr<NativeBackend> backend, std::unique_ptr<Spec> spec)
    : backend_(std::move(backend)),
      spec_(std::move(spec)),
      label_(Concat("model '", spec_->spec().name, "' version ", spec_->spec().version)) {}

NativeModel::~NativeModel() {
  if (model_ == nullptr) return;
  const Calling calling(label_);
  backend_->api().model_unload(model_);
}

Result<std::shared_ptr<NativeModel>> NativeModel::Load(std::shared_ptr<NativeBackend> backend,
                                                       NativeModelSpec spec) {
  std::shared_ptr<NativeModel> model(
      new NativeModel(std::move(backend), std::make_unique<Spec>(std::move(spec))));
  Status status = Call(model->label_, [&](despina_error* error) {
    return model->backend_->api().model_load(model->backend_->get(), &model->spec_->view(),
                                             &model->model_, error);
  });
  if (status.ok() && model->model_ == nullptr) status = GaveNothing("model");
  if (status.ok()) status = model->Describe();
  if (!status.ok()) return status;
  return model;
}

Status NativeModel::Describe() {
  despina_signature told{};
  told.struct_size = sizeof told;
  told.max_batch_size = -1;
  told.decoupled = -1;
  Status status = Call(label_, [&](despina_error* error) {
    return backend_->api().model_describe(model_, &told, error);
  });
  if (status.ok()) status = ReadSpecs(told.inputs, told.input_count, "input", signature_.inputs);
  if (status.ok()) {
    status = ReadSpecs(told.outputs, told.output_count, "output", signature_.outputs);
  }
  if (status.ok() && told.max_batch_size < -1) {
    status = InvalidArgument(Concat("its signature has max_batch_size ", told.max_batch_size));
  }
  signature_.max_batch_size = told.max_batch_size;
  if (told.decoupled >= 0) signature_.decoupled = told.decoupled != 0;
  return status;
}

Status NativeModel::CheckReady() const {
  if (!DESPINA_HAS(&backend_->api(), model_ready)) return Ok();
  return Call(label_,
              [&](despina_error* error) { return backend_->api().model_ready(model_, error); });
}

namespace {

class NativeExecutor final : public Executor {
 public:
  static Result<std::unique_ptr<Executor>> Make(std::shared_ptr<NativeModel> model,
                                                const InstanceDefinition& instance) {
    const Result<despina_device> device = DeviceOf(instance.device);
    if (!device.ok()) return device.status();
    const despina_placement placement{.struct_size = sizeof(despina_placement),
                                      .ordinal = instance.ordinal,
                                      .name = host::ToAbi(instance.name),
                                      .device = *device};
    std::string label = Concat(model->label(), " instance '", instance.name, "'");
    despina_instance* made = nullptr;
    const Status status = Call(label, [&](despina_error* error) {
      return model->backend().api().instance_create(model->get(), &placement, &made, error);
    });
    if (!status.ok()) return status;
    if (made == nullptr) return GaveNothing("instance");
    return std::unique_ptr<Executor>(
        std::make_unique<NativeExecutor>(std::move(model), made, std::move(label)));
  }

  NativeExecutor(std::shared_ptr<NativeModel> model, despina_instance* instance, std::string label)
      : model_(std::move(model)),
        api_(model_->backend().api()),
        instance_(instance),
        requests_(api_.capabilities, std::move(label), model_->signature().inputs,
                  model_->signature().outputs) {}

  ~NativeExecutor() override {
    const Calling calling(requests_.label());
    api_.instance_destroy(instance_);
  }

  void Execute(Batch& batch) override {
    const Calling calling(requests_.label());
    despina_batch* handle = requests_.Begin(batch);
    try {
      api_.execute(instance_, handle);
    } catch (const std::exception& thrown) {
      batch.CompleteUnanswered(Internal(Concat(model_->label(), ": ", thrown.what())));
    } catch (...) {
      batch.CompleteUnanswered(Internal(Concat(model_->label(), ": an exception")));
    }
    requests_.End();
  }

  void Cancelled(const Request& request) override {
    if (!DESPINA_HAS(&api_, request_cancelled)) return;
    requests_.TellCancelled(request, [this](despina_request* handle) {
      const Calling calling(requests_.label());
      api_.request_cancelled(instance_, handle);
    });
  }

 private:
  static Result<despina_device> DeviceOf(std::string_view name) {
    if (name == "cpu") return kCpu;
    return Status(Code::kUnimplemented,
                  Concat("native backends run on the CPU, not on '", name, "'"));
  }

  const std::shared_ptr<NativeModel> model_;
  const despina_backend_api& api_;
  despina_instance* const instance_;
  Requests requests_;
};

class NativeExecutorFactory final : public ExecutorFactory {
 public:
  explicit NativeExecutorFactory(std::shared_ptr<NativeModel> model) : model_(std::move(model)) {}
  Result<std::unique_ptr<Executor>> Create(const InstanceDefinition& instance) override {
    return NativeExecutor::Make(model_, instance);
  }

 private:
  const std::shared_ptr<NativeModel> model_;
};

}  // namespace

std::unique_ptr<ExecutorFactory> MakeNativeExecutorFactory(std::shared_ptr<NativeModel> model) {
  return std::make_unique<NativeExecutorFactory>(std::move(model));
}

}  // namespace despina::host
