// The requests of one execution, as an executor sees them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/local_memory.h"
#include "base/status.h"
#include "engine/definition.h"
#include "engine/request.h"
#include "engine/submit.h"
#include "memory/allocator.h"

namespace despina {

// Where answered requests go: counts them and gives them back. `now` is when that happened: who
// answers has read the clock, which costs as much as all the counting.
class ExecutionSink {
 public:
  virtual void Finish(std::unique_ptr<Request> request, TimePoint now, Turn& turn) = 0;
  virtual void CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success,
                              TimePoint now) = 0;
  // A request to a decoupled model gets a response, and has had this one by `now`.
  virtual void CountResponse(Request& request, ResponseOutcome outcome, TimePoint now) = 0;

 protected:
  ~ExecutionSink() = default;
};

// A request that its executor answers after Execute() has returned. Any thread, one at a time.
// Destroyed unanswered, it is failed.
class DetachedRequest {
 public:
  DetachedRequest(std::unique_ptr<Request> request, const ModelDefinition& definition,
                  ExecutionSink& sink, Allocator& allocator, Clock& clock);
  DetachedRequest(DetachedRequest&&) = default;
  ~DetachedRequest();

  const Request& request() const { return *request_; }
  const ModelDefinition& definition() const { return definition_; }
  Allocator& allocator() const { return allocator_; }
  Status AddOutput(uint32_t output, Tensor tensor);
  void AddParameter(Parameter parameter);
  void Mark(ComputeMark mark) { request_->state.marks.Set(mark, clock_.Now()); }
  // Takes back the outputs and parameters that were added and not sent.
  void Withdraw();
  // Sends the outputs added so far as one part of the answer. FAILED_PRECONDITION when the model
  // is not decoupled.
  Status Send();
  // Answers the request; it is gone afterwards.
  void Complete(Status status);

 private:
  std::unique_ptr<Request> request_;
  const ModelDefinition& definition_;
  ExecutionSink& sink_;
  Allocator& allocator_;
  Clock& clock_;
  TimePoint started_;
};

// Belongs to the instance's thread, and ends with Execute(). Each request is answered once:
// completed, failed, or detached. What is left unanswered fails when the batch ends.
class Batch {
 public:
  // `requests` is not empty; they agree in their inputs and, but for the rows, in their shapes.
  Batch(RequestChain requests, const ModelDefinition& definition, ExecutionSink& sink,
        Allocator& allocator, Clock& clock);
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch();

  const ModelDefinition& definition() const { return definition_; }
  Allocator& allocator() const { return allocator_; }
  size_t size() const { return slots_.size(); }
  uint32_t rows() const { return rows_; }
  // Precondition of all that take `i`: i < size(), and where it is changed: not answered(i).
  const Request& request(size_t i) const { return *slots_[i].request; }
  bool answered(size_t i) const { return slots_[i].answered; }

  // One tensor of all requests' rows of an input, aligned; null when they leave it out. One
  // request that is aligned is not copied. Good until the batch ends.
  Result<const Tensor*> Gather(uint32_t input);

  // Splits a tensor of all rows between the requests that are not answered. INTERNAL when the
  // datatype or the shape is not the model's; then nothing has changed.
  Status Scatter(uint32_t output, Tensor tensor);
  // Gives one request an output: its own rows.
  Status AddOutput(size_t i, uint32_t output, Tensor tensor);

  void AddParameter(size_t i, Parameter parameter);
  // Where the model is with a request, or with all that are not answered.
  void Mark(size_t i, ComputeMark mark);
  void MarkUnanswered(ComputeMark mark);
  // Takes back the outputs and parameters that a request has been given and that were not sent.
  void Withdraw(size_t i);
  // Sends the outputs that a request has been given so far as one part of its answer.
  // FAILED_PRECONDITION when the model is not decoupled.
  Status Send(size_t i);

  // Answers a request. It is given back at the next Deliver().
  void Complete(size_t i, Status status);
  void CompleteUnanswered(const Status& status);
  // Gives back what has been answered, as one chain.
  void Deliver();
  // Takes over a request to answer it later.
  DetachedRequest Detach(size_t i);

 private:
  struct Slot {
    // Owned until it is delivered or detached.
    std::unique_ptr<Request> request;
    uint32_t rows = 0;
    bool answered = false;
  };

  Result<Tensor> Concatenate(uint32_t input) const;
  // What a request gets of an output, if it still wants any.
  void Give(Slot& slot, uint32_t output, Tensor tensor);
  void DeliverAt(TimePoint now);
  // As the marks say, or else as the time that gathering and scattering took.
  ExecutionTimes TimesUntil(TimePoint now, const ComputeMarks& marks) const;
  ExecutionTimes TimesUntil(TimePoint now, const Request& request) const;

  const ModelDefinition& definition_;
  ExecutionSink& sink_;
  Allocator& allocator_;
  Clock& clock_;
  const TimePoint started_;
  // Of one request with two inputs or so: what is in both is made for each execution.
  LocalMemory<512> memory_;
  std::pmr::vector<Slot> slots_{memory_.get()};
  std::pmr::vector<std::optional<Tensor>> gathered_{memory_.get()};
  uint32_t rows_ = 0;
  size_t delivered_ = 0;
  bool any_success_ = false;
  ComputeMarks marks_;
  Duration gathering_{0};
  Duration scattering_{0};
};

}  // namespace despina
