#include "engine/ensemble_run.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "engine/batcher.h"

namespace despina {
namespace {

// Where only one of a tensor's maker and its user has a batch axis, adds it to what is one row, or
// takes it away. As in Triton, a tensor that has the rank that its user expects already is passed
// on as it is: its first axis is the batch axis of the one and part of the dims of the other.
Status ConvertBatchAxis(Tensor& tensor, bool from, bool to, const Shape& dims) {
  const size_t rank = tensor.shape.rank();
  if (to && !from && rank == dims.rank()) {
    if (rank == Shape::kMaxRank) {
      return InvalidArgument("no room for a batch axis in shape " + ToText(tensor.shape));
    }
    tensor.shape = tensor.shape.WithFirst(1);
  } else if (from && !to && rank == dims.rank() + 1) {
    if (tensor.shape[0] != 1) {
      return InvalidArgument("shape " + ToText(tensor.shape) +
                             " has more rows than the one that a model without a batch axis takes");
    }
    tensor.shape = tensor.shape.WithoutFirst();
  }
  return Ok();
}

}  // namespace

EnsembleRun::EnsembleRun(EnsembleOwner& owner, std::unique_ptr<Request> request)
    : owner_(owner),
      plan_(owner.plan()),
      completions_(plan_.steps.size()),
      request_(std::move(request)),
      slots_(plan_.tensors.size()),
      to_do_(plan_.StepsFor(*request_)),
      running_(plan_.steps.size()) {
  for (size_t i = 0; i < completions_.size(); ++i) {
    completions_[i].run = this;
    completions_[i].index = i;
  }
  for (size_t i = 0; i < request_->inputs.size(); ++i) {
    slots_[i] = {
        .known = true, .batched = definition().batching_axis(), .value = request_->inputs[i]};
  }
}

void EnsembleRun::Start(EnsembleOwner& owner, std::unique_ptr<Request> request, Turn& turn) {
  RequestState& state = request->state;
  std::unique_ptr<EnsembleRun> owned(new EnsembleRun(owner, std::move(request)));
  EnsembleRun* run = owned.get();
  state.owned_steps = std::move(owned);
  // From here on it may be cancelled: Advance() looks whether it has been.
  state.steps = run;
  std::unique_lock lock(run->mutex_);
  run->Advance(turn);
  // None of the steps can have ended: they are in the turn until it is flushed.
  if (run->AnyRuns()) return;
  std::unique_ptr<Request> answer = run->TakeAnswer();
  lock.unlock();
  owner.Finish(std::move(answer), turn);
}

void EnsembleRun::Cancel() {
  std::vector<Request*> running;
  {
    const std::lock_guard lock(mutex_);
    ++cancelling_;
    std::ranges::copy_if(running_, std::back_inserter(running), std::identity());
  }
  // Without the lock: a step may end within its cancellation, and bring the answer.
  for (Request* step : running) step->Cancel();
  std::vector<std::unique_ptr<Request>> ended;
  const std::lock_guard lock(mutex_);
  if (--cancelling_ == 0) ended.swap(ended_);
}

void EnsembleRun::StepEnded(size_t index, std::unique_ptr<Request> answered, Turn& turn) {
  std::unique_lock lock(mutex_);
  running_[index] = nullptr;
  const ExecutionTimes& times = answered->state.times;
  times_.queue += times.queue;
  times_.compute_input += times.compute_input;
  times_.compute_infer += times.compute_infer;
  times_.compute_output += times.compute_output;
  if (answered->response.status.ok()) {
    KeepOutputs(index, *answered);
  } else {
    FailStep(index, answered->response.status);
  }
  if (cancelling_ > 0) ended_.push_back(std::move(answered));
  answered.reset();
  Advance(turn);
  if (AnyRuns()) return;
  std::unique_ptr<Request> answer = TakeAnswer();
  lock.unlock();
  // The run goes with the request.
  owner_.Finish(std::move(answer), turn);
}

void EnsembleRun::KeepOutputs(size_t index, Request& answered) {
  const ModelDefinition& member = answered.model->definition();
  for (const auto& [name, place] : plan_.steps[index].outputs) {
    Slot& slot = slots_[place];
    slot.known = true;
    slot.batched = member.batching_axis();
    const std::optional<uint32_t> output = member.FindOutput(name);
    for (OutputTensor& each : answered.response.outputs) {
      if (output && each.index == *output) slot.value = each.tensor;
    }
  }
}

void EnsembleRun::Advance(Turn& turn) {
  if (failure_.ok() && request_->cancelled()) {
    failure_ = Status(Code::kCancelled, "the request was cancelled");
  }
  for (size_t i = 0; i < plan_.steps.size() && failure_.ok(); ++i) {
    if (!to_do_[i] || !Ready(i)) continue;
    to_do_[i] = false;
    if (Status launched = Launch(i, turn); !launched.ok()) FailStep(i, launched);
  }
}

bool EnsembleRun::Ready(size_t index) const {
  for (const auto& [member, place] : plan_.steps[index].inputs) {
    if (!slots_[place].known) return false;
  }
  return true;
}

bool EnsembleRun::AnyRuns() const {
  return std::ranges::any_of(running_, [](const Request* step) { return step != nullptr; });
}

Status EnsembleRun::Launch(size_t index, Turn& turn) {
  const EnsemblePlan::Step& step = plan_.steps[index];
  Result<ModelRef> member = owner_.EnterMember(index);
  if (!member.ok()) return member.status();
  auto request = std::make_unique<Request>(*std::move(member));
  const ModelDefinition& definition = request->model->definition();
  request->id = request_->id;
  request->parameters = request_->parameters;
  request->completion = &completions_[index];
  request->state.parent = request_.get();
  if (request_->trace) request->trace = Trace::Step(request_->trace);
  for (const auto& [name, place] : step.inputs) {
    const std::optional<uint32_t> input = definition.FindInput(name);
    if (!input) return InvalidArgument(Concat("the model has no input '", name, "'"));
    if (!slots_[place].value) continue;
    Tensor tensor = *slots_[place].value;
    const Status fits = ConvertBatchAxis(tensor, slots_[place].batched, definition.batching_axis(),
                                         definition.inputs[*input].dims);
    if (!fits.ok()) return fits.WithPrefix(Concat("tensor '", plan_.tensors[place].name, "': "));
    request->inputs[*input] = std::move(tensor);
  }
  for (const auto& [name, place] : step.outputs) {
    const std::optional<uint32_t> output = definition.FindOutput(name);
    if (!output) return InvalidArgument(Concat("the model has no output '", name, "'"));
    request->requested_outputs.push_back(*output);
  }
  if (Status checked = request->model->Prepare(*request); !checked.ok()) return checked;
  running_[index] = request.get();
  turn.Add(std::move(request));
  return Ok();
}

std::string EnsembleRun::StepName(size_t index) const {
  return Concat("step ", index, " (model '", plan_.steps[index].definition.model, "')");
}

void EnsembleRun::FailStep(size_t index, const Status& status) {
  if (!failure_.ok()) return;
  failure_ =
      status.WithPrefix(Concat("in ensemble '", definition().name, "', ", StepName(index), ": "));
}

std::unique_ptr<Request> EnsembleRun::TakeAnswer() {
  Response& response = request_->response;
  request_->state.times = times_;
  const auto& outputs = plan_.outputs;
  for (uint32_t i = 0; i < outputs.size() && failure_.ok(); ++i) {
    if (!request_->Wants(i)) continue;
    Slot& slot = slots_[outputs[i]];
    if (!slot.value) {
      failure_ = InvalidArgument(Concat(
          "in ensemble '", definition().name,
          "', unexpected deadlock, at least one output is not set while no more ensemble steps "
          "can be made: output '",
          plan_.tensors[outputs[i]].name, "'"));
      break;
    }
    Tensor tensor = *slot.value;
    const TensorDefinition& output = definition().outputs[i];
    const bool batched = definition().batching_axis();
    Status fits = ConvertBatchAxis(tensor, slot.batched, batched, output.dims);
    if (fits.ok()) {
      const std::optional<uint32_t> rows =
          batched ? std::optional(request_->state.rows) : std::nullopt;
      fits = CheckOutput(definition(), output, tensor, rows);
    } else {
      fits = fits.WithPrefix(Concat("output '", output.name, "': "));
    }
    if (!fits.ok()) {
      failure_ = fits.WithPrefix(Concat("in ensemble '", definition().name, "', "));
      break;
    }
    response.outputs.push_back({i, std::move(tensor)});
  }
  if (!failure_.ok()) response.outputs.clear();
  response.status = std::move(failure_);
  slots_.clear();
  return std::move(request_);
}

}  // namespace despina
