#include "engine/submit.h"

#include <utility>

namespace despina {

void Turn::Add(std::unique_ptr<Request> request) {
  Model* model = request->model.get();
  for (Pending& each : pending_) {
    if (each.model == model) return each.chain.Append(std::move(request));
  }
  pending_.push_back({model, {}});
  pending_.back().chain.Append(std::move(request));
}

void Turn::Flush() {
  if (flushing_) return;
  flushing_ = true;
  std::vector<Pending> round;
  while (!pending_.empty()) {
    round.clear();
    round.swap(pending_);
    for (Pending& each : round) each.model->Enqueue(std::move(each.chain), *this);
  }
  // Keeps the larger of the two vectors' memory for the next time.
  round.clear();
  pending_.swap(round);
  flushing_ = false;
}

Result<ModelRef> Submitter::Find(std::string_view model, std::optional<int64_t> version) {
  if (reader_.Get().exiting) return Unavailable("the server is shutting down");
  return EnterModel(reader_, model, version);
}

Status Submitter::Submit(std::unique_ptr<Request>& request) {
  const Status checked = request->model->Prepare(*request);
  if (!checked.ok()) return checked.WithPrefix(RequestIdPrefix(request->id));
  turn_.Add(std::move(request));
  return Ok();
}

}  // namespace despina
