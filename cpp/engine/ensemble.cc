#include "engine/ensemble.h"

#include <utility>

#include "base/text.h"

namespace despina {

EnsembleModel::EnsembleModel(ModelDefinition definition, EnsemblePlan plan,
                             const Published<Snapshot>& snapshot, Clock& clock)
    : Model(std::move(definition), clock), plan_(std::move(plan)), snapshot_(snapshot) {}

Result<std::shared_ptr<Model>> EnsembleModel::Make(ModelDefinition definition,
                                                   const Published<Snapshot>& snapshot,
                                                   Clock& clock) {
  Result<EnsemblePlan> plan = EnsemblePlan::Make(definition);
  if (!plan.ok()) return plan.status();
  return std::shared_ptr<Model>(
      new EnsembleModel(std::move(definition), *std::move(plan), snapshot, clock));
}

Result<ModelRef> EnsembleModel::FindMember(const StepDefinition& step) const {
  const std::optional<int64_t> version =
      step.version < 0 ? std::nullopt : std::optional(step.version);
  Published<Snapshot>::Reader reader(snapshot_);
  Result<ModelRef> member = EnterModel(reader, step.model, version);
  if (member.ok()) return member;
  return Unavailable(member.status().message());
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
