#include "engine/batch.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "engine/batcher.h"

namespace despina {
namespace {

// Adds the time that its life takes to a total. Started only for what reads the data of a tensor:
// the rest takes less time than reading the clock twice.
class Stopwatch {
 public:
  Stopwatch(Clock& clock, Duration& total) : clock_(clock), total_(total) {}
  ~Stopwatch() {
    if (begin_) total_ += clock_.Now() - *begin_;
  }
  void Start() { begin_ = clock_.Now(); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  Clock& clock_;
  Duration& total_;
  std::optional<TimePoint> begin_;
};

Status UnknownOutput(const ModelDefinition& definition, uint32_t output) {
  return Internal(Concat("model '", definition.name, "' has no output ", output));
}

// Keeps the outputs in the order of the definition.
void Place(Request& request, const ModelDefinition& definition, uint32_t output, Tensor tensor) {
  tensor.shape = ClientShape(definition.outputs[output], tensor.shape, definition.batching_axis());
  auto& outputs = request.response.outputs;
  const auto at = std::ranges::lower_bound(outputs, output, {}, &OutputTensor::index);
  if (at != outputs.end() && at->index == output) {
    at->tensor = std::move(tensor);
  } else {
    outputs.insert(at, {output, std::move(tensor)});
  }
}

Status CheckAndPlace(Request& request, const ModelDefinition& definition, uint32_t output,
                     Tensor tensor) {
  if (output >= definition.outputs.size()) return UnknownOutput(definition, output);
  const std::optional<uint32_t> rows =
      definition.batching_axis() ? std::optional(request.state.rows) : std::nullopt;
  Status status = CheckOutput(definition, definition.outputs[output], tensor, rows);
  if (status.ok() && request.Wants(output)) Place(request, definition, output, std::move(tensor));
  return status;
}

// Of a decoupled model: the response that is being made has an output now.
void NoteOutput(Request& request, const ModelDefinition& definition, const Clock& clock) {
  if (!definition.decoupled || request.state.responses->output) return;
  request.state.responses->output = clock.Now();
}

Status SendPart(Request& request, const ModelDefinition& definition, ExecutionSink& sink,
                const Clock& clock) {
  if (!definition.decoupled) {
    return {Code::kFailedPrecondition,
            Concat("model '", definition.name,
                   "' is not decoupled: a request has one answer, not several parts")};
  }
  const TimePoint now = clock.Now();
  sink.CountResponse(request, ResponseOutcome::kSuccess, now);
  if (request.trace) request.trace->Stamp(TraceActivity::kInferResponseComplete, now);
  Response part;
  part.outputs = std::exchange(request.response.outputs, {});
  part.parameters = std::exchange(request.response.parameters, {});
  request.completion->OnPart(request, std::move(part));
  return Ok();
}

void ClearAnswer(Response& response) {
  response.outputs.clear();
  response.parameters.clear();
}

void Settle(Request& request, Status status) {
  request.response.status = std::move(status);
  if (!request.response.status.ok()) ClearAnswer(request.response);
}

}  // namespace

DetachedRequest::DetachedRequest(std::unique_ptr<Request> request,
                                 const ModelDefinition& definition, ExecutionSink& sink,
                                 Allocator& allocator, Clock& clock)
    : request_(std::move(request)),
      definition_(definition),
      sink_(sink),
      allocator_(allocator),
      clock_(clock),
      started_(clock.Now()) {}

DetachedRequest::~DetachedRequest() {
  if (request_) Complete(Internal("the backend dropped the request without answering it"));
}

Status DetachedRequest::AddOutput(uint32_t output, Tensor tensor) {
  NoteOutput(*request_, definition_, clock_);
  return CheckAndPlace(*request_, definition_, output, std::move(tensor));
}

void DetachedRequest::AddParameter(Parameter parameter) {
  request_->response.parameters.push_back(std::move(parameter));
}

void DetachedRequest::Withdraw() { ClearAnswer(request_->response); }

Status DetachedRequest::Send() { return SendPart(*request_, definition_, sink_, clock_); }

void DetachedRequest::Complete(Status status) {
  const TimePoint now = clock_.Now();
  RequestState& state = request_->state;
  state.times.compute_infer += now - started_;
  state.marks.Apply(state.times, state.arrival + state.times.queue, now);
  Settle(*request_, std::move(status));
  Turn turn;
  sink_.Finish(std::move(request_), now, turn);
}

Batch::Batch(RequestChain requests, const ModelDefinition& definition, ExecutionSink& sink,
             Allocator& allocator, Clock& clock)
    : definition_(definition),
      sink_(sink),
      allocator_(allocator),
      clock_(clock),
      started_(clock.Now()) {
  gathered_.resize(definition.inputs.size());
  slots_.reserve(requests.size());
  while (!requests.empty()) {
    std::unique_ptr<Request> request = requests.TakeFirst();
    const uint32_t rows = request->state.rows;
    request->state.executed = true;
    if (definition.decoupled) {
      request->state.responses = std::make_unique<ResponseProgress>();
      request->state.responses->since = started_;
    }
    slots_.push_back({.request = std::move(request), .rows = rows});
    rows_ += rows;
  }
}

Batch::~Batch() {
  if (!std::ranges::all_of(slots_, &Slot::answered)) {
    CompleteUnanswered(
        Internal(Concat("model '", definition_.name, "' returned without answering the request")));
  }
  const TimePoint now = clock_.Now();
  sink_.CountExecution(rows_, TimesUntil(now, marks_), any_success_, now);
  DeliverAt(now);
}

ExecutionTimes Batch::TimesUntil(TimePoint now, const ComputeMarks& marks) const {
  ExecutionTimes times{
      .queue = Duration::zero(),
      .compute_input = gathering_,
      .compute_infer = std::max(Duration::zero(), now - started_ - gathering_ - scattering_),
      .compute_output = scattering_};
  marks.Apply(times, started_, now);
  return times;
}

ExecutionTimes Batch::TimesUntil(TimePoint now, const Request& request) const {
  ExecutionTimes times = TimesUntil(now, request.state.marks);
  times.queue = std::max(Duration::zero(), started_ - request.state.arrival);
  return times;
}

Result<const Tensor*> Batch::Gather(uint32_t input) {
  if (input >= gathered_.size()) {
    return Internal(Concat("model '", definition_.name, "' has no input ", input));
  }
  // Delivered requests are gone, and with them what a single one would have lent.
  if (delivered_ > 0) return Internal("inputs are gathered before requests are delivered");
  if (!slots_[0].request->inputs[input]) return nullptr;
  if (!gathered_[input]) {
    const Tensor& first = *slots_[0].request->inputs[input];
    if (slots_.size() == 1 && (first.data.aligned() || first.datatype == DataType::kBytes)) {
      gathered_[input] = first;
    } else {
      Stopwatch watch(clock_, gathering_);
      watch.Start();
      Result<Tensor> whole = Concatenate(input);
      if (!whole.ok()) return whole.status();
      gathered_[input] = *std::move(whole);
    }
  }
  return &*gathered_[input];
}

Result<Tensor> Batch::Concatenate(uint32_t input) const {
  std::vector<const Tensor*> parts;
  parts.reserve(slots_.size());
  for (const Slot& slot : slots_) parts.push_back(&*slot.request->inputs[input]);
  return ConcatenateRows(parts, allocator_);
}

Status Batch::Scatter(uint32_t output, Tensor tensor) {
  Stopwatch watch(clock_, scattering_);
  if (slots_.size() > 1 || tensor.datatype == DataType::kBytes) watch.Start();
  if (output >= definition_.outputs.size()) return UnknownOutput(definition_, output);
  Status checked = CheckOutput(definition_, definition_.outputs[output], tensor,
                               definition_.batching_axis() ? std::optional(rows_) : std::nullopt);
  if (!checked.ok()) return checked;
  if (slots_.size() == 1) {
    Give(slots_[0], output, std::move(tensor));
    return Ok();
  }
  std::vector<uint32_t> rows;
  rows.reserve(slots_.size());
  for (const Slot& slot : slots_) rows.push_back(slot.rows);
  std::vector<Slice> parts = SplitRows(tensor, rows);
  for (size_t i = 0; i < slots_.size(); ++i) {
    Tensor part{.datatype = tensor.datatype, .shape = tensor.shape, .data = std::move(parts[i])};
    part.shape[0] = rows[i];
    Give(slots_[i], output, std::move(part));
  }
  return Ok();
}

void Batch::Give(Slot& slot, uint32_t output, Tensor tensor) {
  if (slot.answered || !slot.request->Wants(output)) return;
  NoteOutput(*slot.request, definition_, clock_);
  Place(*slot.request, definition_, output, std::move(tensor));
}

Status Batch::AddOutput(size_t i, uint32_t output, Tensor tensor) {
  Stopwatch watch(clock_, scattering_);
  if (tensor.datatype == DataType::kBytes) watch.Start();
  NoteOutput(*slots_[i].request, definition_, clock_);
  return CheckAndPlace(*slots_[i].request, definition_, output, std::move(tensor));
}

void Batch::AddParameter(size_t i, Parameter parameter) {
  slots_[i].request->response.parameters.push_back(std::move(parameter));
}

void Batch::Mark(size_t i, ComputeMark mark) {
  slots_[i].request->state.marks.Set(mark, clock_.Now());
}

void Batch::MarkUnanswered(ComputeMark mark) {
  const TimePoint now = clock_.Now();
  marks_.Set(mark, now);
  for (const Slot& slot : slots_) {
    if (!slot.answered) slot.request->state.marks.Set(mark, now);
  }
}

void Batch::Withdraw(size_t i) { ClearAnswer(slots_[i].request->response); }

Status Batch::Send(size_t i) { return SendPart(*slots_[i].request, definition_, sink_, clock_); }

void Batch::Complete(size_t i, Status status) {
  any_success_ = any_success_ || status.ok();
  slots_[i].answered = true;
  Settle(*slots_[i].request, std::move(status));
}

void Batch::CompleteUnanswered(const Status& status) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].answered) Complete(i, status);
  }
}

void Batch::Deliver() { DeliverAt(clock_.Now()); }

void Batch::DeliverAt(TimePoint now) {
  Turn turn;
  for (Slot& slot : slots_) {
    if (!slot.answered || !slot.request) continue;
    slot.request->state.times = TimesUntil(now, *slot.request);
    if (slot.request->trace) slot.request->trace->SetBatch(rows_, slots_.size());
    ++delivered_;
    sink_.Finish(std::move(slot.request), now, turn);
  }
}

DetachedRequest Batch::Detach(size_t i) {
  Slot& slot = slots_[i];
  slot.answered = true;
  ++delivered_;
  any_success_ = true;
  slot.request->state.times = TimesUntil(clock_.Now(), *slot.request);
  if (slot.request->trace) slot.request->trace->SetBatch(rows_, slots_.size());
  return {std::move(slot.request), definition_, sink_, allocator_, clock_};
}

}  // namespace despina
