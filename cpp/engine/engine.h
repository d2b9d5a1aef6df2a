// The models of a server, and what becomes of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/published.h"
#include "base/status.h"
#include "engine/executor.h"
#include "engine/model.h"
#include "engine/snapshot.h"
#include "engine/trace.h"
#include "memory/allocator.h"

namespace despina {

// The control plane's side; its calls may be slow and may come on any thread. Nothing here is on
// the way of a request.
class Engine {
 public:
  // What the control plane says the state of the server is.
  struct Publication {
    // What is known, also what does not take requests.
    std::vector<IndexRow> index;
    // Those that take requests: loaded, and one of each version of each model.
    std::vector<std::shared_ptr<Model>> serving;
    std::vector<ReloadFailures> reload_failures{};
    // Where models have namespaces: names that several models have, and how many. Clients cannot
    // ask for these.
    std::map<std::string, size_t> ambiguous{};
    bool namespaces = false;
    bool live = true;
    bool ready = false;
    bool exiting = false;
  };

  explicit Engine(Allocator& allocator, Clock& clock = Clock::System());
  ~Engine() { Close(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Starts a model's instances, or makes an ensemble (then without a factory, and with the loaded
  // model of each step, which must not be unloaded before it). On failure nothing stays. It takes
  // requests once it is published; what is published of the same version meanwhile goes on.
  // UNAVAILABLE after Close().
  Result<std::shared_ptr<Model>> Load(ModelDefinition definition,
                                      std::unique_ptr<ExecutorFactory> factory,
                                      std::vector<std::shared_ptr<Model>> members = {});
  // On failure what was published before stays. NOT_FOUND: a model is not loaded.
  Status Publish(const Publication& publication);
  // Waits until the requests of a model that is not published any more are answered, then ends its
  // instances. DEADLINE_EXCEEDED: they are not, and the model stays. NOT_FOUND: it has ended.
  Status Unload(const std::shared_ptr<Model>& model, std::optional<Duration> timeout);

  const Published<Snapshot>& snapshot() const { return snapshot_; }
  Tracer& tracer() { return tracer_; }
  Allocator& allocator() const { return allocator_; }
  Clock& clock() const { return clock_; }

  // Requests inside any model.
  uint64_t inflight() const;
  bool WaitIdle(Duration timeout) const;

  // Publishes nothing and unloads everything, ensembles first. Idempotent.
  void Close();

 private:
  bool Loaded(const std::shared_ptr<Model>& model) const;
  std::vector<std::shared_ptr<Model>> AllLoaded() const;

  Allocator& allocator_;
  Clock& clock_;
  Tracer tracer_;
  Published<Snapshot> snapshot_;

  mutable std::mutex mutex_;
  // Guarded by mutex_ from here on.
  std::set<std::shared_ptr<Model>> loaded_;
  bool closed_ = false;
};

}  // namespace despina
