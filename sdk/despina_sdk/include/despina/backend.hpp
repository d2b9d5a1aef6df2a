// What an author of a backend in C++ writes against. Header only, C++17.
//
// A backend is two classes of the author's and one line:
//
//   struct Model {
//     explicit Model(const despina::ModelSpec& spec);       // loads; throws what is wrong
//     despina::Signature signature() const;                 // what it takes and gives
//   };
//   struct Instance {
//     Instance(Model& model, const despina::Placement& placement);
//     void execute(despina::Batch& batch);                  // answers the requests
//   };
//   DESPINA_BACKEND(name, Model, Instance)
//
// A model is made on a control thread. An instance is made, run and destroyed on a thread of its
// own, never two calls at a time; the instances of a model run side by side, and what they share
// is the model's. What is left unanswered when execute() returns is completed; an exception fails
// it with the exception's text.
//
// Optional members: `static constexpr uint64_t kCapabilities` of Instance (DESPINA_STREAMING,
// DESPINA_ASYNC), `void cancelled(despina::Request)` of Instance (any thread, also before
// execute() has seen the request: look at Request::cancelled() once it is noted), and
// `void check_ready()` of Model (throws why it cannot serve; asked about once a second on a control
// thread; must not block).
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "despina/abi.h"
#include "despina/error.hpp"
#include "despina/metric.hpp"
#include "despina/tensor.hpp"

namespace despina {

namespace detail {

// Set by the entry, before anything else of the backend runs.
inline const despina_host_api* host = nullptr;

// Calls a function of the server's that gives a code, and throws what it says.
template <class Function, class... Arguments>
void Call(Function function, Arguments... arguments) {
  despina_error error;
  error.message[0] = '\0';
  const despina_code code = function(arguments..., &error);
  if (code != DESPINA_OK) throw Error(code, error.message);
}

inline despina_code Put(despina_error* error, despina_code code, std::string_view text) noexcept {
  if (error != nullptr) {
    const size_t size = std::min(text.size(), sizeof error->message - 1);
    error->code = code;
    std::memcpy(error->message, text.data(), size);
    error->message[size] = '\0';
  }
  return code;
}

// Runs what the author wrote. The one place where exceptions become codes.
template <class Function>
despina_code Guarded(despina_error* error, Function&& function) noexcept {
  try {
    function();
    return DESPINA_OK;
  } catch (const Error& thrown) {
    return Put(error, thrown.code(), thrown.what());
  } catch (const std::bad_alloc&) {
    return Put(error, DESPINA_RESOURCE_EXHAUSTED, "out of memory");
  } catch (const std::exception& thrown) {
    return Put(error, DESPINA_INTERNAL, thrown.what());
  } catch (...) {
    return Put(error, DESPINA_INTERNAL, "an exception that is no std::exception");
  }
}

}  // namespace detail

// Writes a line to the server's log, which adds the model and the instance.
inline void Log(despina_log_level level, std::string_view text) {
  detail::host->log(level, Lend(text));
}

// What is known of one input or output. -1: the axis varies; the batch axis is not listed.
struct TensorSpec {
  std::string name;
  Datatype datatype;
  std::vector<int64_t> shape;
  bool optional = false;
};

struct Signature {
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  // Rows of a batch at most; 0: the model has no batch axis; -1: as configured.
  int32_t max_batch_size = -1;
  // Whether answers may come in parts; nothing: as configured.
  std::optional<bool> decoupled = std::nullopt;
};

// One version of a model as its configuration describes it.
class ModelSpec {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  ModelSpec(const despina_model_spec& spec, const Pairs& options)
      : spec_(spec), options_(options) {}

  std::string_view name() const { return View(spec_.name); }
  std::string_view version() const { return View(spec_.version); }
  // The folder of the version, which need not exist.
  std::string path() const { return std::string(View(spec_.path)); }
  // The whole configuration in its JSON form.
  std::string_view config() const { return View(spec_.config); }
  // 0: no batch axis, or the configuration does not say.
  int32_t max_batch_size() const { return spec_.max_batch_size; }
  // As configured; none where the backend is to tell them.
  std::vector<TensorSpec> inputs() const { return Specs(spec_.inputs, spec_.input_count); }
  std::vector<TensorSpec> outputs() const { return Specs(spec_.outputs, spec_.output_count); }
  // A value of `parameters` of the configuration.
  std::optional<std::string_view> parameter(std::string_view key) const {
    for (size_t i = 0; i < spec_.parameter_count; ++i) {
      if (View(spec_.parameters[i].key) == key) return View(spec_.parameters[i].value);
    }
    return std::nullopt;
  }
  // All of them, for a backend that refuses what it does not know.
  Pairs parameters() const {
    Pairs out;
    for (size_t i = 0; i < spec_.parameter_count; ++i) {
      out.emplace_back(View(spec_.parameters[i].key), View(spec_.parameters[i].value));
    }
    return out;
  }
  // What the operator set for the backend.
  const Pairs& backend_options() const { return options_; }
  // Where the model's metrics are made.
  Metrics metrics() const { return {*detail::host, spec_.metrics}; }

 private:
  static std::vector<TensorSpec> Specs(const despina_tensor_spec* specs, size_t count) {
    std::vector<TensorSpec> out;
    for (size_t i = 0; i < count; ++i) {
      const despina_tensor_spec& each = specs[i];
      out.push_back({std::string(View(each.name)), each.datatype,
                     std::vector<int64_t>(each.shape, each.shape + each.ndim), each.optional != 0});
    }
    return out;
  }

  const despina_model_spec& spec_;
  const Pairs& options_;
};

// Where one instance runs.
struct Placement {
  std::string name;
  // Among the instances of its model, from 0.
  uint32_t ordinal = 0;
  despina_device device{DESPINA_DEVICE_CPU, 0};
};

// One request. Copies are handles of the same one.
class Request {
 public:
  explicit Request(despina_request* request) : request_(request) {}

  std::string_view id() const { return View(host().request_id(request_)); }
  // Its own rows of the batch.
  uint64_t rows() const { return host().request_rows(request_); }
  bool cancelled() const { return host().request_cancelled(request_) != 0; }
  bool wants(uint32_t output) const { return host().request_wants(request_, output) != 0; }
  size_t parameter_count() const { return host().request_parameter_count(request_); }
  despina_parameter parameter(size_t i) const { return host().request_parameter(request_, i); }
  // For the statistics: what came before the start counts as preparing inputs, what comes after the
  // end as preparing outputs.
  void compute_starts() const { host().request_mark(request_, DESPINA_COMPUTE_STARTS); }
  void compute_ends() const { host().request_mark(request_, DESPINA_COMPUTE_ENDS); }
  // Nothing where the client did not send it.
  std::optional<despina_parameter> parameter(std::string_view name) const {
    for (size_t i = 0; i < parameter_count(); ++i) {
      if (View(parameter(i).name) == name) return parameter(i);
    }
    return std::nullopt;
  }
  // Of the answer, or of the part that is sent next: a bool, an integer, a floating-point number or
  // a text.
  template <class T>
  void set_parameter(std::string_view name, const T& value) const {
    despina_parameter parameter{};
    parameter.name = Lend(name);
    if constexpr (std::is_same_v<T, bool>) {
      parameter.type = DESPINA_PARAMETER_BOOL;
      parameter.value.as_bool = value ? 1 : 0;
    } else if constexpr (std::is_integral_v<T>) {
      static_assert(sizeof(T) < 8 || std::is_signed_v<T>, "does not fit a parameter");
      parameter.type = DESPINA_PARAMETER_INT;
      parameter.value.as_int = value;
    } else if constexpr (std::is_floating_point_v<T>) {
      parameter.type = DESPINA_PARAMETER_DOUBLE;
      parameter.value.as_double = value;
    } else {
      parameter.type = DESPINA_PARAMETER_TEXT;
      parameter.value.as_text = Lend(value);
    }
    detail::Call(host().request_set_parameter, request_, &parameter);
  }

  // Read-only, in place. NOT_FOUND for an optional input that was left out.
  despina_tensor input(uint32_t index) const {
    despina_tensor tensor;
    detail::Call(host().request_input, request_, index, &tensor);
    return tensor;
  }
  template <class T>
  TensorView<const T> input(uint32_t index) const {
    return TensorView<const T>(input(index));
  }
  // Memory that the answer is sent from: to be written before the request is completed, and not
  // any more once something else is allocated or given for the same output.
  template <class T>
  TensorView<T> allocate(uint32_t output, const Shape& shape) const {
    despina_tensor tensor;
    detail::Call(host().request_allocate, request_, output, DatatypeOf<T>(), shape.data(),
                 static_cast<int32_t>(shape.rank()), &tensor);
    return TensorView<T>(tensor);
  }
  void give(uint32_t output, Tensor tensor) const {
    detail::Call(host().request_give, request_, output, static_cast<void*>(nullptr), tensor.get());
    tensor.given();
  }

  // What was given so far is one part of the answer.
  void send() const { detail::Call(host().request_send, request_); }
  // Completes it later, on any thread, one call at a time.
  Request detach() const {
    detail::Call(host().request_detach, request_);
    return *this;
  }
  void complete() const { host().request_complete(request_, DESPINA_OK, {}); }
  void fail(const Error& error) const {
    host().request_complete(request_, error.code(), Lend(error.what()));
  }

  friend bool operator==(Request a, Request b) { return a.request_ == b.request_; }
  friend bool operator!=(Request a, Request b) { return a.request_ != b.request_; }

 private:
  static const despina_host_api& host() { return *detail::host; }

  despina_request* request_;
};

// What one execute() is to answer. Its requests supply the same inputs, in shapes that differ in
// the batch axis only; a model without that axis gets one request at a time.
class Batch {
 public:
  explicit Batch(despina_batch* batch) : batch_(batch) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  size_t size() const { return host().batch_size(batch_); }
  // Of all requests together.
  uint64_t rows() const { return host().batch_rows(batch_); }
  Request operator[](size_t i) const { return Request(host().batch_request(batch_, i)); }

  // All requests' rows of an input, read-only, until execute() returns; nothing for an optional
  // input that they leave out.
  std::optional<despina_tensor> gather(uint32_t input) const {
    despina_tensor tensor;
    despina_error error;
    error.message[0] = '\0';
    const despina_code code =
        host().batch_gather(batch_, input, {DESPINA_DEVICE_CPU, 0}, nullptr, &tensor, &error);
    if (code == DESPINA_OK) return tensor;
    if (code == DESPINA_NOT_FOUND) return std::nullopt;
    throw Error(code, error.message);
  }
  // The same for an input that requests may not leave out.
  template <class T>
  TensorView<const T> gather(uint32_t input) const {
    const std::optional<despina_tensor> tensor = gather(input);
    if (!tensor) throw Error(DESPINA_NOT_FOUND, "input " + std::to_string(input) + " was left out");
    return TensorView<const T>(*tensor);
  }
  // Memory for an output of all requests that are not answered, which the answers are sent from; as
  // of a request.
  template <class T>
  TensorView<T> allocate(uint32_t output, const Shape& shape) const {
    return TensorView<T>(allocate(output, DatatypeOf<T>(), shape));
  }
  despina_tensor allocate(uint32_t output, Datatype datatype, const Shape& shape) const {
    despina_tensor tensor;
    detail::Call(host().batch_allocate, batch_, output, datatype, shape.data(),
                 static_cast<int32_t>(shape.rank()), &tensor);
    return tensor;
  }
  // An output of all requests that are not answered.
  void give(uint32_t output, Tensor tensor) const {
    detail::Call(host().batch_give, batch_, output, static_cast<void*>(nullptr), tensor.get());
    tensor.given();
  }
  // What was given so far is one part of each answer.
  void send() const { detail::Call(host().batch_send, batch_); }
  // As those of a request, for all that are not answered.
  void compute_starts() const { host().batch_mark(batch_, DESPINA_COMPUTE_STARTS); }
  void compute_ends() const { host().batch_mark(batch_, DESPINA_COMPUTE_ENDS); }

 private:
  static const despina_host_api& host() { return *detail::host; }

  despina_batch* batch_;
};

namespace detail {

inline std::vector<despina_tensor_spec> Lend(const std::vector<TensorSpec>& specs) {
  std::vector<despina_tensor_spec> out;
  for (const TensorSpec& each : specs) {
    out.push_back({despina::Lend(each.name), each.shape.data(),
                   static_cast<int32_t>(each.shape.size()), each.datatype,
                   each.optional ? 1U : 0U});
  }
  return out;
}

template <class T, class = void>
struct Capabilities : std::integral_constant<uint64_t, 0> {};
template <class T>
struct Capabilities<T, std::void_t<decltype(T::kCapabilities)>>
    : std::integral_constant<uint64_t, T::kCapabilities> {};

template <class T, class = void>
struct HearsCancellation : std::false_type {};
template <class T>
struct HearsCancellation<
    T, std::void_t<decltype(std::declval<T&>().cancelled(std::declval<Request>()))>>
    : std::true_type {};

template <class T, class = void>
struct KnowsReadiness : std::false_type {};
template <class T>
struct KnowsReadiness<T, std::void_t<decltype(std::declval<T&>().check_ready())>> : std::true_type {
};

// The author's classes behind the functions of the C interface.
template <class Model, class Instance>
class Plugin {
 public:
  static despina_code Entry(const despina_host_api* offered, despina_backend_api* out,
                            despina_error* error, std::string_view name, std::string_view version) {
    if (offered == nullptr || out == nullptr) {
      return Put(error, DESPINA_INVALID_ARGUMENT, "there is no table");
    }
    host = offered;
    despina_backend_api table{};
    table.abi_major = DESPINA_ABI_MAJOR;
    table.abi_minor = DESPINA_ABI_MINOR;
    table.abi_hash = DESPINA_ABI_HASH;
    table.name = despina::Lend(name);
    table.version = despina::Lend(version);
    table.capabilities = Capabilities<Instance>::value;
    table.backend_create = CreateBackend;
    table.backend_destroy = [](despina_backend* self) { Delete<Backend>(self); };
    table.model_load = LoadModel;
    table.model_describe = Describe;
    table.model_unload = [](despina_model* self) { Delete<LoadedModel>(self); };
    table.instance_create = CreateInstance;
    table.execute = Execute;
    table.instance_destroy = [](despina_instance* self) { Delete<Instance>(self); };
    if constexpr (KnowsReadiness<Model>::value) table.model_ready = CheckReady;
    if constexpr (HearsCancellation<Instance>::value) table.request_cancelled = Cancelled;
    table.struct_size =
        static_cast<uint32_t>(std::min<size_t>(out->struct_size, sizeof(despina_backend_api)));
    std::memcpy(out, &table, table.struct_size);
    return DESPINA_OK;
  }

 private:
  struct Backend {
    ModelSpec::Pairs options;
  };
  struct LoadedModel {
    LoadedModel(const ModelSpec& spec)
        : model(spec),
          signature(model.signature()),
          inputs(Lend(signature.inputs)),
          outputs(Lend(signature.outputs)) {}
    Model model;
    const Signature signature;
    const std::vector<despina_tensor_spec> inputs;
    const std::vector<despina_tensor_spec> outputs;
  };

  template <class T, class Handle>
  static T& As(Handle* handle) {
    return *reinterpret_cast<T*>(handle);
  }
  template <class T, class Handle>
  static void Delete(Handle* handle) {
    std::unique_ptr<T>(reinterpret_cast<T*>(handle));
  }
  template <class Handle, class T>
  static Handle* Release(std::unique_ptr<T> object) {
    return reinterpret_cast<Handle*>(object.release());
  }

  static despina_code CreateBackend(const despina_host_api*, const despina_pair* options,
                                    size_t count, despina_backend** out, despina_error* error) {
    return Guarded(error, [&] {
      auto backend = std::make_unique<Backend>();
      for (size_t i = 0; i < count; ++i) {
        backend->options.emplace_back(View(options[i].key), View(options[i].value));
      }
      *out = Release<despina_backend>(std::move(backend));
    });
  }
  static despina_code LoadModel(despina_backend* self, const despina_model_spec* spec,
                                despina_model** out, despina_error* error) {
    return Guarded(error, [&] {
      const ModelSpec seen(*spec, As<Backend>(self).options);
      *out = Release<despina_model>(std::make_unique<LoadedModel>(seen));
    });
  }
  static despina_code Describe(despina_model* self, despina_signature* out, despina_error*) {
    const auto& model = As<LoadedModel>(self);
    out->max_batch_size = model.signature.max_batch_size;
    out->inputs = model.inputs.data();
    out->input_count = model.inputs.size();
    out->outputs = model.outputs.data();
    out->output_count = model.outputs.size();
    if (model.signature.decoupled) out->decoupled = *model.signature.decoupled ? 1 : 0;
    return DESPINA_OK;
  }
  static despina_code CreateInstance(despina_model* model, const despina_placement* placement,
                                     despina_instance** out, despina_error* error) {
    return Guarded(error, [&] {
      const Placement seen{std::string(View(placement->name)), placement->ordinal,
                           placement->device};
      *out =
          Release<despina_instance>(std::make_unique<Instance>(As<LoadedModel>(model).model, seen));
    });
  }
  static void Execute(despina_instance* self, despina_batch* handle) {
    Batch batch(handle);
    despina_error error;
    error.message[0] = '\0';
    const despina_code code = Guarded(&error, [&] { As<Instance>(self).execute(batch); });
    host->batch_complete(handle, code,
                         code == DESPINA_OK ? despina_str{} : despina::Lend(error.message));
  }
  static despina_code CheckReady(despina_model* self, despina_error* error) {
    return Guarded(error, [&] { As<LoadedModel>(self).model.check_ready(); });
  }
  static void Cancelled(despina_instance* self, despina_request* request) {
    const despina_code code =
        Guarded(nullptr, [&] { As<Instance>(self).cancelled(Request(request)); });
    if (code != DESPINA_OK) Log(DESPINA_LOG_ERROR, "cancelled() threw an exception");
  }
};

}  // namespace detail
}  // namespace despina

// The version is the distribution's, where despina_add_backend() is told it.
#ifndef DESPINA_BACKEND_VERSION
#define DESPINA_BACKEND_VERSION ""
#endif

// Makes a backend of two classes. `name` is an identifier: that of the field `backend`.
#define DESPINA_BACKEND(name, Model, Instance)                                          \
  extern "C" __attribute__((visibility("default"))) despina_code despina_backend_entry( \
      const despina_host_api* host, despina_backend_api* out, despina_error* error) {   \
    return ::despina::detail::Plugin<Model, Instance>::Entry(host, out, error, #name,   \
                                                             DESPINA_BACKEND_VERSION);  \
  }
