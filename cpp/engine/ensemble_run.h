// One request on its way through an ensemble.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/ensemble_plan.h"
#include "engine/model.h"
#include "engine/request.h"
#include "engine/submit.h"

namespace despina {

// The ensemble of a run, as the run sees it.
class EnsembleOwner {
 public:
  virtual const EnsemblePlan& plan() const = 0;
  // The model of a step, if it takes requests.
  virtual Result<ModelRef> EnterMember(size_t step) const = 0;
  // Counts and gives back. The last thing that a run does.
  virtual void Finish(std::unique_ptr<Request> request, Turn& turn) = 0;

 protected:
  ~EnsembleOwner() = default;
};

// Owned by its request, and owns it until the last step has ended, which gives it back.
class EnsembleRun final : public Steps {
 public:
  // Submits the steps that can start; the request is given back if there is none.
  static void Start(EnsembleOwner& owner, std::unique_ptr<Request> request, Turn& turn);

  void Cancel() override;

 private:
  // The completion of the requests that one step makes.
  struct StepCompletion final : Completion {
    void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override {
      run->StepEnded(index, std::move(request), turn);
    }
    EnsembleRun* run = nullptr;
    size_t index = 0;
  };

  // A tensor between steps. Known and without a value: nobody will bring it.
  struct Slot {
    bool known = false;
    bool batched = false;
    std::optional<Tensor> value;
  };

  EnsembleRun(EnsembleOwner& owner, std::unique_ptr<Request> request);

  void StepEnded(size_t index, std::unique_ptr<Request> answered, Turn& turn);
  // With mutex_ held, all up to TakeAnswer().
  void KeepOutputs(size_t index, Request& answered);
  void Advance(Turn& turn);
  bool Ready(size_t index) const;
  bool AnyRuns() const;
  Status Launch(size_t index, Turn& turn);
  void FailStep(size_t index, const Status& status);
  std::unique_ptr<Request> TakeAnswer();

  std::string StepName(size_t index) const;
  const ModelDefinition& definition() const { return request_->model->definition(); }

  EnsembleOwner& owner_;
  const EnsemblePlan& plan_;
  std::vector<StepCompletion> completions_;

  std::mutex mutex_;
  // Guarded by mutex_ from here on.
  std::unique_ptr<Request> request_;
  std::vector<Slot> slots_;
  std::vector<bool> to_do_;
  // The requests of the steps that run, by step.
  std::vector<Request*> running_;
  // While steps are being cancelled, those that end meanwhile are kept.
  size_t cancelling_ = 0;
  std::vector<std::unique_ptr<Request>> ended_;
  Status failure_;
  ExecutionTimes times_;
};

}  // namespace despina
