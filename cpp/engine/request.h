// A request on its way through the engine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/recycled_memory.h"
#include "engine/response.h"
#include "engine/stats.h"
#include "engine/tensor.h"
#include "engine/trace.h"

namespace despina {

class Executor;
class Model;
class Request;
class Turn;

// Holds a model's gate: while it lives, the model is not unloaded.
class ModelRef {
 public:
  ModelRef() = default;
  // Takes over a gate that has been entered.
  explicit ModelRef(Model* entered) : model_(entered) {}
  ModelRef(ModelRef&& other) noexcept : model_(std::exchange(other.model_, nullptr)) {}
  ModelRef& operator=(ModelRef other) noexcept {
    std::swap(model_, other.model_);
    return *this;
  }
  ~ModelRef();

  explicit operator bool() const { return model_ != nullptr; }
  Model& operator*() const { return *model_; }
  Model* operator->() const { return model_; }
  Model* get() const { return model_; }

 private:
  Model* model_ = nullptr;
};

// Who made a request and waits for its answer.
class Completion {
 public:
  // Called exactly once for a request that was submitted, on any thread, perhaps while it is being
  // submitted. The request is given back with its response. Must not block; what it submits in its
  // turn goes through `turn`.
  virtual void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept = 0;
  // A part of the answer, before OnComplete() and in the order in which they were sent; only for
  // requests to decoupled models. Any thread, one call at a time. Must not block.
  virtual void OnPart(const Request& /*request*/, Response&& /*part*/) noexcept {}

 protected:
  ~Completion() = default;
};

// The steps that an ensemble makes of a request.
class Steps {
 public:
  virtual ~Steps() = default;
  // Cancels those that run. Any thread, as long as the request lives.
  virtual void Cancel() = 0;
};

// How far the answer of a decoupled model is.
struct ResponseProgress {
  uint32_t sent = 0;
  // When the last response was sent, or the execution began; and when the next one had its first
  // output.
  TimePoint since{};
  std::optional<TimePoint> output{};
};

// What the engine keeps with a request; nobody else touches it.
struct RequestState {
  // Rows of the batch that are its own; 1 for a model without a batch axis.
  uint32_t rows = 1;
  // Requests that follow each other with equal shapes have equal numbers.
  uint64_t shape_run = 0;
  // Its place in the order of arrival.
  uint64_t sequence = 0;
  TimePoint arrival{};
  ExecutionTimes times;
  ComputeMarks marks;
  // Of a request to a decoupled model that is executed.
  std::unique_ptr<ResponseProgress> responses;
  // The ensemble's request that this one is a step of.
  const Request* parent = nullptr;
  Request* next = nullptr;
  Request* previous = nullptr;
  // Guarded by the mutex of the model's batch source.
  bool queued = false;
  // It has been part of a batch.
  bool executed = false;
  // The instance that runs it, from then on.
  std::atomic<Executor*> executor{nullptr};
  // Of a request to an ensemble, once it is begun; they go with the request.
  std::unique_ptr<Steps> owned_steps;
  std::atomic<Steps*> steps{nullptr};
};

using InputTensors = RecycledVector<std::optional<Tensor>>;

// Filled by the one who makes it, then moved into the engine by a submit that succeeds, and given
// back through `completion`. In between only Cancel() may be called on it, by its maker, on a
// thread on which it would also learn of the completion.
class Request final : public Recycled {
 public:
  explicit Request(ModelRef to);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // -- set by its maker
  ModelRef model;
  std::string id;
  // By index of the model's inputs; nothing where none was sent. Shapes are those of the wire.
  InputTensors inputs;
  // Indices of the outputs wanted; empty: all.
  std::vector<uint32_t> requested_outputs;
  std::vector<Parameter> parameters;
  Completion* completion = nullptr;
  // Null unless it is sampled.
  std::shared_ptr<Trace> trace;

  // -- set by the engine
  Response response;
  RequestState state;

  // Nobody waits for the answer any more: it leaves the queue unserved, or whoever runs it may
  // stop. The completion is called all the same, with CANCELLED unless the answer came first.
  void Cancel();
  bool cancelled() const {
    return cancelled_ || (state.parent != nullptr && state.parent->cancelled());
  }
  bool Wants(uint32_t output) const;

 private:
  std::atomic<bool> cancelled_{false};
};

// Requests in order, owned; linked through the requests themselves.
class RequestChain {
 public:
  RequestChain() = default;
  RequestChain(RequestChain&& other) noexcept { Swap(other); }
  RequestChain& operator=(RequestChain other) noexcept {
    Swap(other);
    return *this;
  }
  ~RequestChain();

  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  const Request* front() const { return first_; }
  Request* front() { return first_; }
  void Append(std::unique_ptr<Request> request);
  void Append(RequestChain chain);
  // Precondition of both: not empty; `request` is in this chain.
  std::unique_ptr<Request> TakeFirst();
  std::unique_ptr<Request> Take(Request& request);

  static const Request* Next(const Request& request) { return request.state.next; }

 private:
  void Swap(RequestChain& other) noexcept;

  Request* first_ = nullptr;
  Request* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace despina
