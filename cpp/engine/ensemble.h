// A model that is a graph of other models.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "engine/ensemble_plan.h"
#include "engine/ensemble_run.h"
#include "engine/model.h"
#include "engine/submit.h"

namespace despina {

// No thread of its own: a step is submitted when its inputs are there, by whoever brought the last
// one, through the turn. A step that fails ends its request once the steps that run have ended.
class EnsembleModel final : public Model, private EnsembleOwner {
 public:
  // `members` are the models of the steps, in their order; INVALID_ARGUMENT if they are not as
  // many. They stay those of this ensemble: what replaces a member gets an ensemble of its own.
  static Result<std::shared_ptr<Model>> Make(ModelDefinition definition,
                                             std::vector<std::shared_ptr<Model>> members,
                                             Clock& clock);

  void Enqueue(RequestChain chain, Turn& turn) override;
  // Cancels the steps that run, and begins no other.
  void Cancel(Request& request) override;
  void Stop() override {}

 private:
  EnsembleModel(ModelDefinition definition, EnsemblePlan plan,
                std::vector<std::shared_ptr<Model>> members, Clock& clock);

  const EnsemblePlan& plan() const override { return plan_; }
  Result<ModelRef> EnterMember(size_t step) const override;
  void Finish(std::unique_ptr<Request> request, Turn& turn) override;

  const EnsemblePlan plan_;
  const std::vector<std::shared_ptr<Model>> members_;
  std::atomic<size_t> inflight_{0};
};

}  // namespace despina
