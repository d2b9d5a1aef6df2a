#include "bindings/python_executor.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "bindings/batch_object.h"
#include "bindings/errors.h"
#include "bindings/gil.h"
#include "bindings/instance_context.h"
#include "bindings/kept_object.h"

namespace despina::bindings {
namespace {

// "request 'a'", "requests 'a', 'b'": those that are still to be answered, if any are.
std::string NamesOf(const Batch& batch) {
  std::string names;
  size_t count = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch.answered(i)) continue;
    names += Concat(count > 0 ? ", '" : "'", batch.request(i).id, "'");
    ++count;
  }
  if (count == 0) return "all requests answered";
  return Concat(count == 1 ? "request " : "requests ", names);
}

class PythonExecutor final : public Executor {
 public:
  PythonExecutor(std::unique_ptr<InterpreterThread> thread, Reference instance, Reference execute,
                 InstanceContext context)
      : thread_(std::move(thread)),
        instance_(std::move(instance)),
        execute_(std::move(execute)),
        context_(std::make_shared<InstanceContext>(std::move(context))) {}

  ~PythonExecutor() override {
    const InterpreterThread::Hold hold(*thread_);
    const Reference closed(PyObject_CallMethod(instance_.get(), "close", nullptr));
    if (!closed) {
      std::string traceback;
      const Status status = TakeException(&traceback);
      LogTraceback(Concat(context_->label, ": close: ", status.message()), traceback);
    }
    execute_ = Reference();
    instance_ = Reference();
    DropReleased();
  }

  void Execute(Batch& batch) override {
    const InterpreterThread::Hold hold(*thread_);
    DropReleased();
    const Reference object = MakeBatchObject(batch, context_);
    if (object) {
      PyObject* argument = object.get();
      const Reference result(PyObject_Vectorcall(execute_.get(), &argument, 1, nullptr));
      if (!result) Fail(batch);
      EndBatchObject(argument);
    } else {
      Fail(batch);
    }
  }

  // What is released later is left to the next turn, or to the control plane.
  void Idle() override {
    if (!ObjectsReleased()) return;
    const InterpreterThread::Hold hold(*thread_);
    DropReleased();
  }

 private:
  void Fail(Batch& batch) {
    std::string traceback;
    Status status = TakeException(&traceback);
    batch.CompleteUnanswered(Reported(std::move(status), traceback, *context_, batch.definition(),
                                      NamesOf(batch), "execute"));
  }

  std::unique_ptr<InterpreterThread> thread_;
  Reference instance_;
  // The bound method.
  Reference execute_;
  const std::shared_ptr<const InstanceContext> context_;
};

class PythonExecutorFactory final : public ExecutorFactory {
 public:
  PythonExecutorFactory(PyObject* model, std::string label, uint64_t capabilities)
      : model_(Reference::Borrow(model)), label_(std::move(label)), capabilities_(capabilities) {}

  ~PythonExecutorFactory() override {
    const PyGILState_STATE state = PyGILState_Ensure();
    model_ = Reference();
    PyGILState_Release(state);
  }

  Result<std::unique_ptr<Executor>> Create(const InstanceDefinition& instance) override {
    auto thread = std::make_unique<InterpreterThread>();
    std::optional<InterpreterThread::Hold> hold(*thread);
    InstanceContext context{.label = Concat(label_, " instance '", instance.name, "'"),
                            .capabilities = capabilities_};
    Reference object = MakeInstance(instance);
    Reference execute(object ? PyObject_GetAttrString(object.get(), "execute") : nullptr);
    if (!execute) {
      std::string traceback;
      Status status = TakeException(&traceback);
      object = Reference();
      if (!traceback.empty())
        LogTraceback(Concat(context.label, ": ", status.message()), traceback);
      hold.reset();
      return status;
    }
    hold.reset();
    return std::unique_ptr<Executor>(std::make_unique<PythonExecutor>(
        std::move(thread), std::move(object), std::move(execute), std::move(context)));
  }

 private:
  Reference MakeInstance(const InstanceDefinition& instance) const {
    const Reference module(PyImport_ImportModule("despina_sdk.backend"));
    if (!module) return {};
    const Reference placement(PyObject_CallMethod(module.get(), "Placement", "sIs",
                                                  instance.name.c_str(), instance.ordinal,
                                                  instance.device.c_str()));
    if (!placement) return {};
    return Reference(PyObject_CallMethod(model_.get(), "instance", "O", placement.get()));
  }

  Reference model_;
  const std::string label_;
  const uint64_t capabilities_;
};

}  // namespace

std::unique_ptr<ExecutorFactory> MakePythonExecutorFactory(PyObject* model, std::string label,
                                                           uint64_t capabilities) {
  return std::make_unique<PythonExecutorFactory>(model, std::move(label), capabilities);
}

}  // namespace despina::bindings
