#include "engine/trace.h"

#include <array>

#include "engine/definition.h"
#include "engine/response.h"

namespace despina {
namespace {

// In the order of TraceActivity.
constexpr std::array<std::string_view, 18> kNames = {
    "HTTP_RECV_START",       "HTTP_RECV_END",           "REQUEST_START",
    "QUEUE_START",           "TENSOR_QUEUE_INPUT",      "COMPUTE_START",
    "COMPUTE_INPUT_END",     "COMPUTE_OUTPUT_START",    "COMPUTE_END",
    "TENSOR_BACKEND_OUTPUT", "INFER_RESPONSE_COMPLETE", "REQUEST_END",
    "HTTP_SEND_START",       "HTTP_SEND_END",           "GRPC_WAITREAD_START",
    "GRPC_WAITREAD_END",     "GRPC_SEND_START",         "GRPC_SEND_END"};

}  // namespace

std::string_view TraceActivityName(TraceActivity activity) {
  return kNames[static_cast<size_t>(activity)];
}

Trace::Trace(TraceSink& sink, Levels levels, TraceContext with, uint64_t parent)
    : id(sink.NextId()),
      parent_id(parent),
      context(std::move(with)),
      sink_(sink),
      levels_(levels) {}

std::shared_ptr<Trace> Trace::Step(const std::shared_ptr<Trace>& parent) {
  TraceContext context{.trace = parent->context.trace,
                       .parent = parent->context.model,
                       .front = parent->context.front,
                       .state = parent->context.state,
                       .shared = parent->context.shared};
  auto step =
      std::make_unique<Trace>(parent->sink_, parent->levels_, std::move(context), parent->id);
  Trace* const at = step.get();
  parent->steps.push_back(std::move(step));
  // Lives with the first request's.
  return {parent, at};
}

void Trace::Stamp(TraceActivity activity, TimePoint when) {
  if (levels_.timestamps) stamps.emplace_back(activity, when);
}

void Trace::AddTensor(TraceActivity activity, const std::string& name, const Tensor& tensor) {
  if (levels_.tensors) tensors.push_back({activity, name, tensor});
}

void Trace::Begin(const ModelDefinition& definition, const std::string& request,
                  std::span<const std::optional<Tensor>> inputs, TimePoint now) {
  model = definition.name;
  version = definition.version;
  request_id = request;
  Stamp(TraceActivity::kRequestStart, now);
  Stamp(TraceActivity::kQueueStart, now);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    AddTensor(TraceActivity::kTensorQueueInput, definition.inputs[i].name, *inputs[i]);
  }
}

void Trace::End(const ModelDefinition& definition, const Status& answer,
                std::span<const OutputTensor> outputs, TimePoint arrival,
                const std::optional<ExecutionTimes>& times, TimePoint now) {
  if (times) {
    TimePoint at = arrival + times->queue;
    Stamp(TraceActivity::kComputeStart, at);
    Stamp(TraceActivity::kComputeInputEnd, at += times->compute_input);
    Stamp(TraceActivity::kComputeOutputStart, at += times->compute_infer);
    Stamp(TraceActivity::kComputeEnd, at + times->compute_output);
  }
  for (const OutputTensor& output : outputs) {
    AddTensor(TraceActivity::kTensorBackendOutput, definition.outputs[output.index].name,
              output.tensor);
  }
  if (parent_id == 0) Stamp(TraceActivity::kInferResponseComplete, now);
  Stamp(TraceActivity::kRequestEnd, now);
  status = answer;
}

void Trace::SetBatch(uint32_t rows, size_t requests) {
  batch_rows = rows;
  batch_requests = requests;
}

size_t Trace::bytes() const {
  size_t sum = 0;
  for (const TensorData& each : tensors) sum += each.tensor.data.size();
  for (const auto& step : steps) sum += step->bytes();
  return sum;
}

void TraceSink::Add(std::unique_ptr<Trace> trace) {
  const size_t bytes = trace->bytes();
  {
    const std::lock_guard lock(mutex_);
    if (traces_.size() < kMaxTraces && bytes <= kMaxTensorBytes - bytes_) {
      bytes_ += bytes;
      traces_.push_back(std::move(trace));
      return;
    }
  }
  dropped_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<std::unique_ptr<Trace>> TraceSink::Take() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(traces_, {});
}

void Tracer::Configure(const TraceSettings& global,
                       const std::map<std::string, TraceSettings>& models) {
  auto table = std::make_shared<Table>();
  table->emplace("", std::make_shared<Setting>(global));
  bool on = !global.off();
  for (const auto& [model, settings] : models) {
    table->emplace(model, std::make_shared<Setting>(settings));
    on = on || !settings.off();
  }
  table_.Publish(std::move(table));
  on_.store(on, std::memory_order_relaxed);
}

std::shared_ptr<Tracer::Setting> Tracer::Find(std::string_view model) const {
  const std::shared_ptr<const Table> table = table_.Get();
  auto found = table->find(model);
  if (found == table->end()) found = table->find("");
  return found == table->end() ? nullptr : found->second;
}

int64_t Tracer::Remaining(const std::string& model) const {
  const std::shared_ptr<Setting> setting = Find(model);
  return setting ? setting->remaining.load(std::memory_order_relaxed) : -1;
}

bool Tracer::Due(Setting& setting) {
  const uint32_t rate = setting.settings.rate;
  if (rate == 0) return false;
  if ((setting.seen.fetch_add(1, std::memory_order_relaxed) + 1) % rate != 0) return false;
  int64_t left = setting.remaining.load(std::memory_order_relaxed);
  while (left > 0) {
    if (setting.remaining.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
      return true;
    }
  }
  return left < 0;
}

std::shared_ptr<Trace> Tracer::Sample(std::string_view model, std::string_view traceparent,
                                      std::string_view tracestate) {
  const std::shared_ptr<Setting> setting = Find(model);
  if (!setting || setting->settings.off()) return nullptr;
  TraceContext context{.shared = setting->settings.follow_context};
  const auto parent =
      setting->settings.follow_context ? ParseTraceParent(traceparent) : std::nullopt;
  if (parent) {
    context.trace = parent->trace;
    context.parent = parent->span;
    if (tracestate.size() <= kMaxTraceState) context.state = tracestate;
  }
  if (parent ? !parent->sampled : !Due(*setting)) return nullptr;
  auto trace = std::make_unique<Trace>(*sink_, setting->settings.levels, std::move(context), 0);
  return {trace.release(),
          [sink = sink_](Trace* finished) { sink->Add(std::unique_ptr<Trace>(finished)); }};
}

}  // namespace despina
