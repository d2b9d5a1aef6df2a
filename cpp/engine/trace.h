// What became of single requests, and when: for those few that are sampled.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/published.h"
#include "base/status.h"
#include "engine/execution_times.h"
#include "engine/tensor.h"
#include "engine/trace_context.h"

namespace despina {

struct ModelDefinition;
struct OutputTensor;

// In the order of a request's life.
enum class TraceActivity : uint8_t {
  kHttpRecvStart,
  kHttpRecvEnd,
  kRequestStart,
  kQueueStart,
  kTensorQueueInput,
  kComputeStart,
  kComputeInputEnd,
  kComputeOutputStart,
  kComputeEnd,
  kTensorBackendOutput,
  kInferResponseComplete,
  kRequestEnd,
  kHttpSendStart,
  kHttpSendEnd,
  // From the head of the call, or of a stream from the message, until the message is there.
  kGrpcWaitreadStart,
  kGrpcWaitreadEnd,
  // Until the last response has been handed to the connection.
  kGrpcSendStart,
  kGrpcSendEnd,
};
// In the protocol's words.
std::string_view TraceActivityName(TraceActivity activity);

class TraceSink;

// Of one request, or of one step of an ensemble. Whoever has the request writes to it, one thread
// at a time. Once nobody holds the first request's trace any more, it goes to the sink with all of
// its steps'.
class Trace {
 public:
  struct Levels {
    bool timestamps = false;
    bool tensors = false;
  };
  struct TensorData {
    TraceActivity activity;
    std::string name;
    Tensor tensor;
  };

  Trace(TraceSink& sink, Levels levels, TraceContext context, uint64_t parent_id);
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // The trace of a step. The parent's holder is the only one who calls this at that time.
  static std::shared_ptr<Trace> Step(const std::shared_ptr<Trace>& parent);

  void Stamp(TraceActivity activity, TimePoint when);
  void AddTensor(TraceActivity activity, const std::string& name, const Tensor& tensor);
  // The request has been taken by its model.
  void Begin(const ModelDefinition& model, const std::string& id,
             std::span<const std::optional<Tensor>> inputs, TimePoint now);
  // It is answered. `times` of its execution, if it was one.
  void End(const ModelDefinition& model, const Status& answer,
           std::span<const OutputTensor> outputs, TimePoint arrival,
           const std::optional<ExecutionTimes>& times, TimePoint now);
  // The batch that it was part of.
  void SetBatch(uint32_t rows, size_t requests);
  void SetInstance(const std::string& name) { instance = name; }

  // -- what is read of it in the end
  const uint64_t id;
  // 0: it is no step.
  const uint64_t parent_id;
  // Empty until the model has taken the request.
  std::string model;
  int64_t version = 0;
  std::string request_id;
  const TraceContext context;
  std::vector<std::pair<TraceActivity, TimePoint>> stamps;
  std::vector<TensorData> tensors;
  std::vector<std::unique_ptr<Trace>> steps;
  Status status;
  uint32_t batch_rows = 0;
  size_t batch_requests = 0;
  std::string instance;

  // Memory of tensors that it and its steps hold.
  size_t bytes() const;

 private:
  TraceSink& sink_;
  const Levels levels_;
};

// Keeps finished traces until they are taken. Any thread. Bounded: what finds no room is dropped.
class TraceSink {
 public:
  static constexpr size_t kMaxTraces = 8192;
  static constexpr size_t kMaxTensorBytes = size_t{64} << 20;

  uint64_t NextId() { return next_id_.fetch_add(1, std::memory_order_relaxed) + 1; }
  void Add(std::unique_ptr<Trace> trace);
  std::vector<std::unique_ptr<Trace>> Take();
  // How many were dropped, in all.
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> next_id_{0};
  std::atomic<uint64_t> dropped_{0};
  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<Trace>> traces_;
  size_t bytes_ = 0;
};

struct TraceSettings {
  Trace::Levels levels;
  // Every so many requests; 0: only those whose client asks for it.
  uint32_t rate = 1000;
  // So many more; -1: without end.
  int64_t count = -1;
  // Whether a client's context counts: it decides, and is the parent.
  bool follow_context = false;

  bool off() const { return !levels.timestamps && !levels.tensors; }
};

// Decides which requests are traced. Any thread.
class Tracer {
 public:
  // Until the first call nothing is traced. Counting begins anew.
  void Configure(const TraceSettings& global, const std::map<std::string, TraceSettings>& models);
  // What is left of a model's count, or with an empty name of the global one.
  int64_t Remaining(const std::string& model) const;

  // A glance, for those that are not to spend time on it.
  bool on() const { return on_.load(std::memory_order_relaxed); }
  // A trace for a request to this model, whose client sent these; null: it is not sampled.
  std::shared_ptr<Trace> Sample(std::string_view model, std::string_view traceparent,
                                std::string_view tracestate);

  TraceSink& sink() { return *sink_; }

 private:
  struct Setting {
    explicit Setting(const TraceSettings& from) : settings(from), remaining(from.count) {}
    const TraceSettings settings;
    std::atomic<uint64_t> seen{0};
    std::atomic<int64_t> remaining;
  };
  using Table = std::map<std::string, std::shared_ptr<Setting>, std::less<>>;

  std::shared_ptr<Setting> Find(std::string_view model) const;
  static bool Due(Setting& setting);

  std::atomic<bool> on_{false};
  Published<Table> table_{std::make_shared<const Table>()};
  // Kept by the traces that are not finished.
  const std::shared_ptr<TraceSink> sink_ = std::make_shared<TraceSink>();
};

}  // namespace despina
