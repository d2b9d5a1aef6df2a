// A model that is a graph of other models.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "base/published.h"
#include "engine/ensemble_plan.h"
#include "engine/ensemble_run.h"
#include "engine/model.h"
#include "engine/snapshot.h"
#include "engine/submit.h"

namespace despina {

// No thread of its own: a step is submitted when its inputs are there, by whoever brought the last
// one, through the turn. A step that fails ends its request once the steps that run have ended.
class EnsembleModel final : public Model, private EnsembleOwner {
 public:
  // Members are looked up in `snapshot` when a step is due.
  static Result<std::shared_ptr<Model>> Make(ModelDefinition definition,
                                             const Published<Snapshot>& snapshot, Clock& clock);

  void Enqueue(RequestChain chain, Turn& turn) override;
  // Cancels the steps that run, and begins no other.
  void Cancel(Request& request) override;
  void Stop() override {}

 private:
  EnsembleModel(ModelDefinition definition, EnsemblePlan plan, const Published<Snapshot>& snapshot,
                Clock& clock);

  const EnsemblePlan& plan() const override { return plan_; }
  Result<ModelRef> FindMember(const StepDefinition& step) const override;
  void Finish(std::unique_ptr<Request> request, Turn& turn) override;

  const EnsemblePlan plan_;
  const Published<Snapshot>& snapshot_;
  std::atomic<size_t> inflight_{0};
};

}  // namespace despina
