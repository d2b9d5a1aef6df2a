// A model that instances run: its queue, and the threads that pull from it.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/thread.h"
#include "engine/batch.h"
#include "engine/batch_source.h"
#include "engine/executor.h"
#include "engine/log_subjects.h"
#include "engine/model.h"
#include "engine/ordered_release.h"
#include "memory/allocator.h"

namespace despina {

class QueuedModel final : public Model, private ExecutionSink {
 public:
  // Starts the instances and waits until all are made. On failure those made are gone again, and
  // the text names the instance.
  static Result<std::shared_ptr<Model>> Start(ModelDefinition definition,
                                              std::unique_ptr<ExecutorFactory> factory,
                                              Allocator& allocator, Clock& clock);
  ~QueuedModel() override { Stop(); }

  ModelCounts Counts() const override;
  void Enqueue(RequestChain chain, Turn& turn) override;
  void Cancel(Request& request) override;
  void Stop() override;

 private:
  class Startup;

  QueuedModel(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory,
              Allocator& allocator, Clock& clock);

  void RunInstance(const InstanceDefinition& instance, Startup& startup);
  void RunBatches(Executor& executor, InstanceSubject& subject);
  void DropCancelled(RequestChain& batch);

  void Finish(std::unique_ptr<Request> request, TimePoint now, Turn& turn) override;
  void CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success,
                      TimePoint now) override;
  void CountResponse(Request& request, ResponseOutcome outcome, TimePoint now) override;
  // What an answer to a decoupled model's request ends with.
  void CountLastResponse(Request& request, TimePoint now);
  void FinishCancelled(std::unique_ptr<Request> request, Turn& turn);
  void GiveBack(std::unique_ptr<Request> request, Turn& turn);

  std::unique_ptr<ExecutorFactory> factory_;
  Allocator& allocator_;
  BatchSource source_;
  // Null unless the order is to be kept.
  const std::shared_ptr<OrderedRelease> ordered_;
  std::mutex stopping_;
  // Last, so that it is joined first.
  std::vector<Thread> instances_;
};

}  // namespace despina
