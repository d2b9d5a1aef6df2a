#include "engine/batch.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "engine/batcher.h"

namespace despina {
namespace {

// Adds the time that its life takes to a total.
class Stopwatch {
 public:
  Stopwatch(Clock& clock, Duration& total) : clock_(clock), total_(total), begin_(clock.Now()) {}
  ~Stopwatch() { total_ += clock_.Now() - begin_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  Clock& clock_;
  Duration& total_;
  const TimePoint begin_;
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

void Settle(Request& request, Status status) {
  request.response.status = std::move(status);
  if (!request.response.status.ok()) request.response.outputs.clear();
}

}  // namespace

DetachedRequest::DetachedRequest(std::unique_ptr<Request> request,
                                 const ModelDefinition& definition, ExecutionSink& sink,
                                 Clock& clock)
    : request_(std::move(request)),
      definition_(definition),
      sink_(sink),
      clock_(clock),
      started_(clock.Now()) {}

DetachedRequest::~DetachedRequest() {
  if (request_) Complete(Internal("the backend dropped the request without answering it"));
}

Status DetachedRequest::AddOutput(uint32_t output, Tensor tensor) {
  return CheckAndPlace(*request_, definition_, output, std::move(tensor));
}

void DetachedRequest::Complete(Status status) {
  request_->state.times.compute_infer += clock_.Now() - started_;
  Settle(*request_, std::move(status));
  Turn turn;
  sink_.Finish(std::move(request_), turn);
}

Batch::Batch(RequestChain requests, const ModelDefinition& definition, ExecutionSink& sink,
             Allocator& allocator, Clock& clock)
    : definition_(definition),
      sink_(sink),
      allocator_(allocator),
      clock_(clock),
      started_(clock.Now()),
      gathered_(definition.inputs.size()) {
  requests_.reserve(requests.size());
  request_rows_.reserve(requests.size());
  while (!requests.empty()) {
    requests_.push_back(requests.TakeFirst());
    request_rows_.push_back(requests_.back()->state.rows);
    rows_ += request_rows_.back();
  }
  answered_.resize(requests_.size());
}

Batch::~Batch() {
  if (std::ranges::find(answered_, false) != answered_.end()) {
    CompleteUnanswered(
        Internal(Concat("model '", definition_.name, "' returned without answering the request")));
  }
  sink_.CountExecution(rows_, TimesNow(), any_success_);
  Deliver();
}

ExecutionTimes Batch::TimesNow() const {
  const Duration whole = clock_.Now() - started_;
  return {.queue = Duration::zero(),
          .compute_input = gathering_,
          .compute_infer = std::max(Duration::zero(), whole - gathering_ - scattering_),
          .compute_output = scattering_};
}

Result<const Tensor*> Batch::Gather(uint32_t input) {
  if (input >= gathered_.size()) {
    return Internal(Concat("model '", definition_.name, "' has no input ", input));
  }
  // Delivered requests are gone, and with them what a single one would have lent.
  if (delivered_ > 0) return Internal("inputs are gathered before requests are delivered");
  if (!requests_[0]->inputs[input]) return nullptr;
  if (!gathered_[input]) {
    const Stopwatch watch(clock_, gathering_);
    const Tensor& first = *requests_[0]->inputs[input];
    if (requests_.size() == 1 && (first.data.aligned() || first.datatype == DataType::kBytes)) {
      gathered_[input] = first;
    } else {
      Result<Tensor> whole = Concatenate(input);
      if (!whole.ok()) return whole.status();
      gathered_[input] = *std::move(whole);
    }
  }
  return &*gathered_[input];
}

Result<Tensor> Batch::Concatenate(uint32_t input) const {
  std::vector<const Tensor*> parts;
  parts.reserve(requests_.size());
  for (const auto& request : requests_) parts.push_back(&*request->inputs[input]);
  return ConcatenateRows(parts, allocator_);
}

Status Batch::Scatter(uint32_t output, const Tensor& tensor) {
  const Stopwatch watch(clock_, scattering_);
  if (output >= definition_.outputs.size()) return UnknownOutput(definition_, output);
  const bool batched = definition_.batching_axis();
  Status checked = CheckOutput(definition_, definition_.outputs[output], tensor,
                               batched ? std::optional(rows_) : std::nullopt);
  if (!checked.ok()) return checked;
  std::vector<Slice> parts =
      requests_.size() > 1 ? SplitRows(tensor, request_rows_) : std::vector<Slice>{tensor.data};
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (answered_[i] || !requests_[i]->Wants(output)) continue;
    Tensor part{.datatype = tensor.datatype, .shape = tensor.shape, .data = std::move(parts[i])};
    if (batched) part.shape[0] = request_rows_[i];
    Place(*requests_[i], definition_, output, std::move(part));
  }
  return Ok();
}

Status Batch::AddOutput(size_t i, uint32_t output, Tensor tensor) {
  const Stopwatch watch(clock_, scattering_);
  return CheckAndPlace(*requests_[i], definition_, output, std::move(tensor));
}

void Batch::Complete(size_t i, Status status) {
  any_success_ = any_success_ || status.ok();
  answered_[i] = true;
  Settle(*requests_[i], std::move(status));
}

void Batch::CompleteUnanswered(const Status& status) {
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (!answered_[i]) Complete(i, status);
  }
}

void Batch::Deliver() {
  const ExecutionTimes times = TimesNow();
  Turn turn;
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (!answered_[i] || !requests_[i]) continue;
    Request& request = *requests_[i];
    request.state.times = times;
    request.state.times.queue = std::max(Duration::zero(), started_ - request.state.arrival);
    ++delivered_;
    sink_.Finish(std::move(requests_[i]), turn);
  }
}

DetachedRequest Batch::Detach(size_t i) {
  answered_[i] = true;
  ++delivered_;
  any_success_ = true;
  Request& request = *requests_[i];
  request.state.times = TimesNow();
  request.state.times.queue = std::max(Duration::zero(), started_ - request.state.arrival);
  return {std::move(requests_[i]), definition_, sink_, clock_};
}

}  // namespace despina
