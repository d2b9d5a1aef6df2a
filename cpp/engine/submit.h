// What front ends see of the engine: finding a model, submitting requests, reading its state.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/published.h"
#include "base/status.h"
#include "engine/model.h"
#include "engine/request.h"
#include "engine/snapshot.h"

namespace despina {

// Requests that one round of an event loop, or one finished batch, brings: collected, then pushed
// to their models once each, so that a consumer that sleeps is woken once. Belongs to one thread.
// What completes during a flush may add requests: the flush goes on, in a loop and not in
// recursion, until nothing is left.
class Turn {
 public:
  Turn() = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { Flush(); }

  // Precondition: Model::Prepare has succeeded. The request's completion will be called.
  void Add(std::unique_ptr<Request> request);
  void Flush();

 private:
  struct Pending {
    Model* model;
    RequestChain chain;
  };
  std::vector<Pending> pending_;
  bool flushing_ = false;
};

// One thread's way into the engine. Lookups take no lock while the set of models stays as it is.
class Submitter {
 public:
  explicit Submitter(const Published<Snapshot>& snapshot) : reader_(snapshot) {}

  // The state of the server as the control plane last published it; good until the next call.
  const Snapshot& snapshot() { return reader_.Get(); }

  // Nothing for `version`: the latest that is ready. NOT_FOUND with the protocol's texts;
  // UNAVAILABLE while the server shuts down.
  Result<ModelRef> Find(std::string_view model, std::optional<int64_t> version);

  // Checks the request against its model and takes it. On failure it stays the caller's, its
  // completion is not called, and the text starts with "[request id: ...] ".
  Status Submit(std::unique_ptr<Request>& request);
  // Ships what was submitted since the last time. At the end of each round of the loop.
  void Flush() { turn_.Flush(); }

 private:
  Published<Snapshot>::Reader reader_;
  Turn turn_;
};

}  // namespace despina
