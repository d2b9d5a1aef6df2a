// One version of a model that takes requests.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/gate.h"
#include "base/status.h"
#include "engine/definition.h"
#include "engine/request.h"
#include "engine/stats.h"

namespace despina {

// Made by the engine. Anyone who holds a ModelRef may call these, on any thread.
class Model {
 public:
  Model(ModelDefinition definition, Clock& clock);
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelDefinition& definition() const { return definition_; }
  Clock& clock() const { return clock_; }
  Gate& gate() { return gate_; }
  // Nothing when it is being unloaded.
  ModelRef Enter() { return gate_.Enter() ? ModelRef(this) : ModelRef(); }

  // Whether it says that it can serve. It gets requests all the same.
  bool ready() const { return ready_; }
  void SetReady(bool ready) { ready_ = ready; }

  virtual ModelCounts Counts() const { return statistics_.Read(clock_.Now()); }
  std::optional<LatencyQuantiles> Quantiles(std::span<const double> quantiles) const {
    return statistics_.Quantiles(clock_.Now(), quantiles);
  }
  const MetricSeries* first_responses() const { return statistics_.first_responses(); }

  // How long the control plane took to load it; 0 until it says so.
  Duration load_time() const { return load_time_.load(std::memory_order_relaxed); }
  void SetLoadTime(Duration time) { load_time_.store(time, std::memory_order_relaxed); }

  // Checks a request against the signature, counts its rows and gives the inputs the shapes that
  // the backend sees. INVALID_ARGUMENT in the protocol's words; then nothing has changed.
  Status Prepare(Request& request) const;

  // Takes requests that were prepared; each one's completion is called, also for those that do
  // not fit into the queue (UNAVAILABLE).
  virtual void Enqueue(RequestChain chain, Turn& turn) = 0;
  // Takes a request out of the queue, if it still waits there, and answers it with CANCELLED.
  virtual void Cancel(Request& request) = 0;

  // Ends what runs requests, once the gate is closed and empty. Control thread.
  virtual void Stop() = 0;

 protected:
  // Counts a failure and gives the request back.
  void Fail(std::unique_ptr<Request> request, Status status, FailureReason reason, Turn& turn);

  // What the trace of a request that is answered has still to be told. Precondition: it has one.
  void EndTrace(Request& request, TimePoint now) const;

  ModelStatistics& statistics() { return statistics_; }
  const ModelStatistics& statistics() const { return statistics_; }

 private:
  Status PrepareInput(uint32_t index, Tensor& tensor, std::optional<int64_t>& rows) const;
  Status CheckInputNames(const Request& request) const;

  const ModelDefinition definition_;
  Clock& clock_;
  Gate gate_;
  std::atomic<bool> ready_{true};
  std::atomic<Duration> load_time_{Duration(0)};
  ModelStatistics statistics_;
};

// "[request id: <id>] ", with the protocol's stand-in for an empty one.
std::string RequestIdPrefix(const std::string& id);

}  // namespace despina
