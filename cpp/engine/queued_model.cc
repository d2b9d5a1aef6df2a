#include "engine/queued_model.h"

#include <algorithm>
#include <latch>
#include <mutex>
#include <system_error>
#include <utility>

#include "base/text.h"

namespace despina {
// Where the instances report, and wait until all have: one that fails stops the others.
class QueuedModel::Startup {
 public:
  explicit Startup(size_t instances) : reported_(static_cast<ptrdiff_t>(instances)) {}

  void Report(const InstanceDefinition& instance, const Status& status) {
    if (!status.ok()) {
      std::lock_guard lock(mutex_);
      if (failure_.ok()) {
        failure_ = status.WithPrefix(Concat("instance '", instance.name, "': "));
      }
    }
    reported_.count_down();
  }
  void Wait() { reported_.wait(); }

  Status failure() {
    std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  std::latch reported_;
  std::mutex mutex_;
  Status failure_;  // guarded by mutex_
};

QueuedModel::QueuedModel(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory,
                         Allocator& allocator, Clock& clock)
    : Model(std::move(definition), clock),
      factory_(std::move(factory)),
      allocator_(allocator),
      source_(this->definition(), clock),
      ordered_(this->definition().batching.preserve_ordering ? std::make_shared<OrderedRelease>()
                                                             : nullptr) {}

Result<std::shared_ptr<Model>> QueuedModel::Start(ModelDefinition definition,
                                                  std::unique_ptr<ExecutorFactory> factory,
                                                  Allocator& allocator, Clock& clock) {
  if (definition.instances.empty() || factory == nullptr) {
    return InvalidArgument(Concat("model '", definition.name, "' has nothing that runs it"));
  }
  std::shared_ptr<QueuedModel> model(
      new QueuedModel(std::move(definition), std::move(factory), allocator, clock));
  const auto& instances = model->definition().instances;
  // Shared with the threads: they may still be leaving the latch when this returns.
  const auto startup = std::make_shared<Startup>(instances.size());
  for (const InstanceDefinition& instance : instances) {
    try {
      model->instances_.emplace_back(instance.name, [self = model.get(), &instance, startup] {
        self->RunInstance(instance, *startup);
      });
    } catch (const std::system_error& error) {
      return Status(Code::kResourceExhausted,
                    Concat("instance '", instance.name, "': no thread for it: ", error.what()));
    }
  }
  startup->Wait();
  if (Status failure = startup->failure(); !failure.ok()) return failure;
  return std::shared_ptr<Model>(std::move(model));
}

void QueuedModel::RunInstance(const InstanceDefinition& instance, Startup& startup) {
  InstanceSubject subject(definition(), instance);
  Result<std::unique_ptr<Executor>> executor = factory_->Create(instance);
  startup.Report(instance, executor.status());
  if (executor.ok()) RunBatches(**executor, subject);
}

void QueuedModel::RunBatches(Executor& executor, InstanceSubject& subject) {
  const auto idle = [&executor] { executor.Idle(); };
  while (auto requests = source_.Take(idle)) {
    // Before cancelled ones are looked for: either this sees that, or who cancels sees this.
    for (Request* each = requests->front(); each != nullptr; each = each->state.next) {
      each->state.executor = &executor;
      if (each->trace) each->trace->SetInstance(subject.instance().name);
    }
    DropCancelled(*requests);
    if (requests->empty()) continue;
    Batch batch(*std::move(requests), definition(), *this, allocator_, clock());
    subject.batch = &batch;
    executor.Execute(batch);
    subject.batch = nullptr;
  }
}

void QueuedModel::DropCancelled(RequestChain& batch) {
  Turn turn;
  for (Request* each = batch.front(); each != nullptr;) {
    Request* next = each->state.next;
    if (each->cancelled()) {
      FinishCancelled(batch.Take(*each), turn);
    }
    each = next;
  }
}

ModelCounts QueuedModel::Counts() const {
  ModelCounts counts = Model::Counts();
  counts.pending = source_.waiting();
  return counts;
}

void QueuedModel::Enqueue(RequestChain chain, Turn& turn) {
  auto [cancelled, refused] = source_.Push(std::move(chain));
  while (!cancelled.empty()) {
    FinishCancelled(cancelled.TakeFirst(), turn);
  }
  while (!refused.empty()) {
    std::unique_ptr<Request> request = refused.TakeFirst();
    const std::string prefix = RequestIdPrefix(request->id);
    Fail(std::move(request), Unavailable(prefix + "Exceeds maximum queue size"),
         FailureReason::kRejected, turn);
  }
}

void QueuedModel::Cancel(Request& request) {
  std::unique_ptr<Request> removed = source_.Remove(request);
  if (!removed) {
    // The executor lives as long as the model, which the request holds.
    Executor* executor = request.state.executor;
    if (executor != nullptr) executor->Cancelled(request);
    return;
  }
  Turn turn;
  FinishCancelled(std::move(removed), turn);
}

void QueuedModel::FinishCancelled(std::unique_ptr<Request> request, Turn& turn) {
  request->response.status = {Code::kCancelled, "the request was cancelled"};
  Finish(std::move(request), clock().Now(), turn);
}

void QueuedModel::Finish(std::unique_ptr<Request> request, TimePoint now, Turn& turn) {
  const RequestState& state = request->state;
  if (request->trace) EndTrace(*request, now);
  const Duration whole = now - state.arrival;
  // One that never ran has no place in the answers of those that did.
  if (state.responses) CountLastResponse(*request, now);
  switch (request->response.status.code()) {
    case Code::kOk:
      statistics().CountSuccess(now, whole, state.rows, state.times);
      break;
    case Code::kCancelled:
      statistics().CountFailure(whole, FailureReason::kCanceled);
      break;
    default:
      statistics().CountFailure(whole, FailureReason::kBackend);
  }
  GiveBack(std::move(request), turn);
}

void QueuedModel::GiveBack(std::unique_ptr<Request> request, Turn& turn) {
  // Shared: the model may be gone with the last request, while this thread still looks for more.
  if (const auto ordered = ordered_) return ordered->Pass(std::move(request), turn);
  Completion* completion = request->completion;
  completion->OnComplete(std::move(request), turn);
}

void QueuedModel::CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success,
                                 TimePoint now) {
  statistics().CountExecution(rows, times, any_success, now);
}

void QueuedModel::CountLastResponse(Request& request, TimePoint now) {
  const Response& response = request.response;
  if (response.status.code() == Code::kCancelled) {
    CountResponse(request, ResponseOutcome::kCancel, now);
  } else if (!response.status.ok()) {
    CountResponse(request, ResponseOutcome::kFail, now);
  } else if (!response.outputs.empty()) {
    CountResponse(request, ResponseOutcome::kSuccess, now);
  } else if (request.state.responses->sent == 0) {
    CountResponse(request, ResponseOutcome::kEmpty, now);
  }
}

void QueuedModel::CountResponse(Request& request, ResponseOutcome outcome, TimePoint now) {
  ResponseProgress& progress = *request.state.responses;
  const TimePoint since = std::min(progress.since, now);
  const TimePoint output = std::clamp(progress.output.value_or(now), since, now);
  statistics().CountResponse(progress.sent, outcome, output - since, now - output);
  if (progress.sent == 0 && outcome != ResponseOutcome::kCancel) {
    statistics().CountFirstResponse(now - request.state.arrival);
  }
  progress = {.sent = progress.sent + 1, .since = now};
}

void QueuedModel::Stop() {
  source_.Close();
  std::lock_guard lock(stopping_);
  for (Thread& instance : instances_) instance.Join();
  // Here, and not where the last reader of an old snapshot lets go of the model.
  factory_.reset();
}

}  // namespace despina
