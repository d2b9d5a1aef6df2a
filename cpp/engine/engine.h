// The models of a server, and what becomes of them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
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
  using Version = std::pair<std::string, int64_t>;

  // What the control plane says the state of the server is.
  struct Publication {
    // Names that are known, also those that do not take requests.
    std::vector<std::string> known;
    // Those that take requests; each must have been loaded.
    std::vector<Version> serving;
    bool live = true;
    bool ready = false;
    bool exiting = false;
  };

  explicit Engine(Allocator& allocator, Clock& clock = Clock::System());
  ~Engine() { Close(); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Starts a model's instances, or makes an ensemble (then without a factory). On failure nothing
  // stays. It takes requests once it is published. UNAVAILABLE after Close().
  Status Load(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory);
  Status Publish(const Publication& publication);
  // What Model::ready() says of a version from now on; nothing happens where it is not loaded.
  void SetReady(const Version& version, bool ready);
  // What Model::load_time() says of it; likewise.
  void SetLoadTime(const Version& version, Duration time);
  // Waits until the requests of a model that is not published any more are answered, then ends its
  // instances. DEADLINE_EXCEEDED: they are not, and the model stays.
  Status Unload(const Version& version, std::optional<Duration> timeout);

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
  std::shared_ptr<Model> Loaded(const Version& version) const;
  std::vector<std::shared_ptr<Model>> AllLoaded() const;

  Allocator& allocator_;
  Clock& clock_;
  Tracer tracer_;
  Published<Snapshot> snapshot_;

  mutable std::mutex mutex_;
  // Guarded by mutex_ from here on.
  std::map<Version, std::shared_ptr<Model>> loaded_;
  bool closed_ = false;
};

}  // namespace despina
