#include "bindings/sync_infer.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "bindings/arrays.h"
#include "bindings/engine_error.h"
#include "bindings/kept_object.h"
#include "bindings/mappings.h"
#include "engine/submit.h"
#include "net/descriptor.h"

namespace py = pybind11;

namespace despina::bindings {
namespace {

// How often a wait looks for signals.
constexpr double kSignalSeconds = 0.05;

// Keeps itself until the answer has come, also when nobody waits for it any more.
class Waiter final : public Completion {
 public:
  static std::shared_ptr<Waiter> Make() {
    auto waiter = std::make_shared<Waiter>();
    waiter->self_ = waiter;
    return waiter;
  }

  void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override {
    std::shared_ptr<Waiter> self;
    {
      std::lock_guard lock(mutex_);
      answered_ = std::move(request);
      self = std::move(self_);
      Tell();
    }
  }

  void OnPart(const Request&, Response&& part) noexcept override {
    std::lock_guard lock(mutex_);
    if (left_) return;
    parts_.push_back(std::move(part));
    Tell();
  }

  // Readable from now on while there may be something; -1 when the system has none left.
  int Descriptor() {
    std::lock_guard lock(mutex_);
    if (!told_) {
      told_ = net::Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      Tell();
    }
    return told_.get();
  }
  // Nobody will submit: breaks the cycle.
  void Forget() { self_.reset(); }

  // Nobody takes any more: cancels what has not been answered.
  void Leave(Request& request) {
    {
      std::lock_guard lock(mutex_);
      if (answered_) return;
      left_ = true;
      parts_.clear();
    }
    request.Cancel();
  }

  // What has come by then: first the parts, then the end.
  struct Arrived {
    std::optional<Response> part;
    std::unique_ptr<Request> end;
  };
  // At once; the descriptor is not readable then until more comes, unless something has.
  Arrived TakeNow() {
    std::lock_guard lock(mutex_);
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = ::read(told_.get(), &count, sizeof count);
    return Take();
  }
  Arrived WaitFor(std::chrono::duration<double> time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return answered_ != nullptr || !parts_.empty(); });
    return Take();
  }

 private:
  // With mutex_ held, both.
  void Tell() {
    changed_.notify_all();
    const uint64_t one = 1;
    if (told_) [[maybe_unused]]
      const ssize_t written = ::write(told_.get(), &one, sizeof one);
  }
  Arrived Take() {
    if (parts_.empty()) return {.part = {}, .end = std::move(answered_)};
    Arrived arrived{.part = std::move(parts_.front()), .end = nullptr};
    parts_.pop_front();
    return arrived;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Response> parts_;
  bool left_ = false;
  net::Descriptor told_;
  std::unique_ptr<Request> answered_;
  std::shared_ptr<Waiter> self_;
};

// A mapping's key or a text value. Throws EngineError where it is no text that UTF-8 can carry.
std::string TextOf(py::handle value, std::string_view what) {
  if (py::isinstance<py::str>(value)) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (data != nullptr) return {data, static_cast<size_t>(size)};
    PyErr_Clear();
  }
  throw EngineError(InvalidArgument(Concat(what, " is not a text that UTF-8 can carry")));
}

void FillInputs(Request& request, const py::dict& inputs, Allocator& allocator) {
  const ModelDefinition& model = request.model->definition();
  for (const auto& [key, value] : inputs) {
    const std::string name = TextOf(key, "the name of an input");
    const std::optional<uint32_t> index = model.FindInput(name);
    if (!index) {
      throw EngineError(InvalidArgument(
          Concat("unexpected inference input '", name, "' for model '", model.name, "'")));
    }
    const Result<LentArray> lent = Lent(value.ptr(), model.inputs[*index].datatype);
    Result<Tensor> tensor =
        lent.ok() ? TensorOf(*lent, Sharing::kCopy, allocator) : Result<Tensor>(lent.status());
    if (!tensor.ok()) {
      throw EngineError(
          tensor.status().WithPrefix(Concat("input '", name, "' for model '", model.name, "': ")));
    }
    request.inputs[*index] = *std::move(tensor);
  }
}

void FillOutputs(Request& request, const std::vector<std::string>& outputs) {
  const ModelDefinition& model = request.model->definition();
  for (const std::string& name : outputs) {
    const std::optional<uint32_t> index = model.FindOutput(name);
    if (!index) {
      throw EngineError(InvalidArgument(
          Concat("unexpected inference output '", name, "' for model '", model.name, "'")));
    }
    request.requested_outputs.push_back(*index);
  }
}

std::unique_ptr<Request> MakeRequest(Engine& engine, Submitter& submitter,
                                     const InferArguments& arguments) {
  Result<ModelRef> model = submitter.Find(arguments.model, arguments.version);
  if (!model.ok()) throw EngineError(model.status());
  auto request = std::make_unique<Request>(*std::move(model));
  request->id = arguments.request_id;
  FillInputs(*request, arguments.inputs, engine.allocator());
  if (arguments.outputs) FillOutputs(*request, *arguments.outputs);
  if (arguments.parameters) {
    for (const auto& [key, value] : *arguments.parameters) {
      Result<Parameter> parameter = ParameterOf(key.ptr(), value.ptr());
      if (!parameter.ok()) throw EngineError(parameter.status());
      request->parameters.push_back(*std::move(parameter));
    }
  }
  // Without a context: there is no header that could bring one.
  if (Tracer& tracer = engine.tracer(); tracer.on()) {
    request->trace = tracer.Sample(arguments.model, {}, {});
  }
  return request;
}

// Waits without the lock. An answer that comes stays with the waiter until it is returned, so that
// `submitted` may be cancelled until then.
Waiter::Arrived Wait(Waiter& waiter, Request& submitted, std::optional<double> timeout) {
  using SteadyClock = std::chrono::steady_clock;
  const auto begin = SteadyClock::now();
  while (true) {
    const std::chrono::duration<double> before = SteadyClock::now() - begin;
    const double period =
        timeout ? std::min(kSignalSeconds, *timeout - before.count()) : kSignalSeconds;
    Waiter::Arrived arrived;
    {
      const py::gil_scoped_release release;
      arrived = waiter.WaitFor(std::chrono::duration<double>(std::max(period, 0.0)));
    }
    if (arrived.part || arrived.end) return arrived;
    const std::chrono::duration<double> waited = SteadyClock::now() - begin;
    const bool late = timeout && waited.count() >= *timeout;
    if (!late && PyErr_CheckSignals() == 0) continue;
    submitted.Cancel();
    if (!late) throw py::error_already_set();
    throw EngineError({Code::kDeadlineExceeded, "no answer within the timeout"});
  }
}

py::dict OutputsOf(const Response& response, const ModelDefinition& model) {
  if (!response.status.ok()) throw EngineError(response.status);
  py::dict outputs;
  for (const OutputTensor& output : response.outputs) {
    PyObject* array = ArrayOf(output.tensor);
    if (array == nullptr) throw py::error_already_set();
    outputs[py::str(model.outputs[output.index].name)] = py::reinterpret_steal<py::object>(array);
  }
  return outputs;
}

void CheckTimeout(std::optional<double> timeout) {
  // Also refuses NaN.
  if (timeout && !(*timeout >= 0)) {
    throw EngineError(InvalidArgument("the timeout is not a number of seconds from 0 on"));
  }
}

// A request that is on its way, and who waits for it.
struct Submitted {
  std::shared_ptr<Waiter> waiter;
  // Until the waiter has given back its end.
  Request* request;
};

Submitted Submit(Engine& engine, const InferArguments& arguments, bool in_parts) {
  DropReleased();
  Submitter submitter(engine.snapshot());
  std::unique_ptr<Request> request = MakeRequest(engine, submitter, arguments);
  if (request->model->definition().decoupled && !in_parts) {
    throw EngineError(
        {Code::kUnimplemented, Concat("model '", arguments.model,
                                      "' is decoupled: its answers come in parts, from stream()")});
  }
  Submitted submitted{Waiter::Make(), request.get()};
  request->completion = submitted.waiter.get();
  const py::gil_scoped_release release;
  Status status = submitter.Submit(request);
  if (!status.ok()) {
    submitted.waiter->Forget();
    throw EngineError(status);
  }
  submitter.Flush();
  return submitted;
}

}  // namespace

py::dict Infer(Engine& engine, const InferArguments& arguments) {
  CheckTimeout(arguments.timeout);
  const Submitted submitted = Submit(engine, arguments, false);
  const Waiter::Arrived arrived = Wait(*submitted.waiter, *submitted.request, arguments.timeout);
  return OutputsOf(arrived.end->response, arrived.end->model->definition());
}

InputTensors InputsOf(Engine& engine, const InferArguments& arguments) {
  Submitter submitter(engine.snapshot());
  return MakeRequest(engine, submitter, arguments)->inputs;
}

class ResponseStream::Impl {
 public:
  Impl(Engine& engine, const InferArguments& arguments, bool in_parts)
      : timeout_(arguments.timeout), submitted_(Submit(engine, arguments, in_parts)) {}
  ~Impl() {
    // An end that has come, or comes, is the waiter's to drop.
    if (submitted_.request != nullptr) submitted_.waiter->Leave(*submitted_.request);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::optional<py::dict> Next() {
    if (submitted_.request == nullptr) return std::nullopt;
    return Outputs(Wait(*submitted_.waiter, *submitted_.request, timeout_));
  }

  py::object Poll() {
    if (submitted_.request == nullptr) return py::none();
    const Waiter::Arrived arrived = submitted_.waiter->TakeNow();
    if (!arrived.part && !arrived.end) return py::ellipsis();
    std::optional<py::dict> outputs = Outputs(arrived);
    return outputs ? py::object(*std::move(outputs)) : py::none();
  }

  int Descriptor() {
    const int descriptor = submitted_.waiter->Descriptor();
    if (descriptor >= 0) return descriptor;
    throw EngineError({Code::kResourceExhausted, "no descriptor is left to wait with"});
  }

 private:
  std::optional<py::dict> Outputs(const Waiter::Arrived& arrived) {
    if (arrived.part) {
      return OutputsOf(*arrived.part, submitted_.request->model->definition());
    }
    submitted_.request = nullptr;
    const Response& last = arrived.end->response;
    // The end of a stream carries an error, or the whole answer of a model that sent no parts.
    if (last.status.ok() && last.outputs.empty()) return std::nullopt;
    return OutputsOf(last, arrived.end->model->definition());
  }

  const std::optional<double> timeout_;
  Submitted submitted_;
};

ResponseStream::ResponseStream(Engine& engine, const InferArguments& arguments, bool in_parts) {
  CheckTimeout(arguments.timeout);
  impl_ = std::make_unique<Impl>(engine, arguments, in_parts);
}
ResponseStream::~ResponseStream() = default;

std::optional<py::dict> ResponseStream::Next() { return impl_ ? impl_->Next() : std::nullopt; }
py::object ResponseStream::Poll() { return impl_ ? impl_->Poll() : py::none(); }
int ResponseStream::Descriptor() { return impl_ ? impl_->Descriptor() : -1; }
void ResponseStream::Close() { impl_.reset(); }

}  // namespace despina::bindings
