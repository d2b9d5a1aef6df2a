#include "engine/ensemble.h"

#include <utility>

#include "base/text.h"

namespace despina {

EnsembleModel::EnsembleModel(ModelDefinition definition, EnsemblePlan plan,
                             std::vector<std::shared_ptr<Model>> members, Clock& clock)
    : Model(std::move(definition), clock), plan_(std::move(plan)), members_(std::move(members)) {}

Result<std::shared_ptr<Model>> EnsembleModel::Make(ModelDefinition definition,
                                                   std::vector<std::shared_ptr<Model>> members,
                                                   Clock& clock) {
  Result<EnsemblePlan> plan = EnsemblePlan::Make(definition);
  if (!plan.ok()) return plan.status();
  if (members.size() != plan->steps.size()) {
    return InvalidArgument(Concat("ensemble '", definition.name, "': ", members.size(),
                                  " models for ", plan->steps.size(), " steps"));
  }
  return std::shared_ptr<Model>(
      new EnsembleModel(std::move(definition), *std::move(plan), std::move(members), clock));
}

Result<ModelRef> EnsembleModel::EnterMember(size_t step) const {
  if (ModelRef member = members_[step]->Enter()) return member;
  return Unavailable("the model is being unloaded");
}

void EnsembleModel::Enqueue(RequestChain chain, Turn& turn) {
  while (!chain.empty()) {
    std::unique_ptr<Request> request = chain.TakeFirst();
    const size_t limit = definition().max_inflight_requests;
    if (inflight_.fetch_add(1, std::memory_order_relaxed) >= limit) {
      inflight_.fetch_sub(1, std::memory_order_relaxed);
      std::string text = Concat(RequestIdPrefix(request->id), "ensemble '", definition().name,
                                "' works on ", limit, " requests already");
      Fail(std::move(request), Unavailable(std::move(text)), FailureReason::kRejected, turn);
      continue;
    }
    EnsembleRun::Start(*this, std::move(request), turn);
  }
}

void EnsembleModel::Cancel(Request& request) {
  // Not begun: it sees that it is cancelled before its first step.
  if (Steps* steps = request.state.steps.load()) steps->Cancel();
}

void EnsembleModel::Finish(std::unique_ptr<Request> request, Turn& turn) {
  const TimePoint now = clock().Now();
  const Duration whole = now - request->state.arrival;
  const Code code = request->response.status.code();
  const uint32_t rows = request->state.rows;
  if (code == Code::kOk) {
    statistics().CountExecution(rows, request->state.times, true, now);
    statistics().CountSuccess(now, whole, rows, request->state.times);
  } else {
    statistics().CountFailure(
        whole, code == Code::kCancelled ? FailureReason::kCanceled : FailureReason::kOther);
  }
  if (request->trace) EndTrace(*request, now);
  inflight_.fetch_sub(1, std::memory_order_relaxed);
  Completion* completion = request->completion;
  completion->OnComplete(std::move(request), turn);
}

}  // namespace despina
