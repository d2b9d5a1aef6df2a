#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "engine/ensemble.h"
#include "engine/queued_model.h"

namespace despina {
namespace {

std::string Named(const Model& model) {
  return Concat("model '", model.definition().name, "' version ", model.definition().version);
}

}  // namespace

Engine::Engine(Allocator& allocator, Clock& clock)
    : allocator_(allocator), clock_(clock), snapshot_(std::make_shared<const Snapshot>()) {}

bool Engine::Loaded(const std::shared_ptr<Model>& model) const {
  std::lock_guard lock(mutex_);
  return loaded_.contains(model);
}

std::vector<std::shared_ptr<Model>> Engine::AllLoaded() const {
  std::lock_guard lock(mutex_);
  return {loaded_.begin(), loaded_.end()};
}

Result<std::shared_ptr<Model>> Engine::Load(ModelDefinition definition,
                                            std::unique_ptr<ExecutorFactory> factory,
                                            std::vector<std::shared_ptr<Model>> members) {
  const bool ensemble = definition.is_ensemble();
  Result<std::shared_ptr<Model>> model =
      ensemble ? EnsembleModel::Make(std::move(definition), std::move(members), clock_)
               : QueuedModel::Start(std::move(definition), std::move(factory), allocator_, clock_);
  if (!model.ok()) return model;
  std::lock_guard lock(mutex_);
  // Somebody may have closed the engine meanwhile. `model` then ends its instances after the lock
  // is left.
  if (closed_) return Unavailable("the server is shutting down");
  loaded_.insert(*model);
  return model;
}

Status Engine::Publish(const Publication& publication) {
  auto next = std::make_shared<Snapshot>();
  next->live = publication.live;
  next->ready = publication.ready;
  next->exiting = publication.exiting;
  next->tracer = &tracer_;
  next->namespaces = publication.namespaces;
  next->serving = publication.serving;
  std::ranges::stable_sort(next->serving, {}, [](const std::shared_ptr<Model>& model) {
    return std::tie(model->definition().name, model->definition().version);
  });
  next->index = publication.index;
  next->reload_failures = publication.reload_failures;
  for (const IndexRow& row : publication.index) {
    if (!row.state.empty()) next->models[row.name];
  }
  for (const auto& [name, count] : publication.ambiguous) next->models[name].identifiers = count;
  for (const std::shared_ptr<Model>& model : publication.serving) {
    if (!Loaded(model)) return NotFound(Named(*model) + " is not loaded");
    const ModelDefinition& definition = model->definition();
    Snapshot::Entry& entry = next->models[definition.name];
    if (entry.identifiers == 1) entry.versions[definition.version] = model;
  }
  snapshot_.Publish(std::move(next));
  return Ok();
}

Status Engine::Unload(const std::shared_ptr<Model>& model, std::optional<Duration> timeout) {
  if (!Loaded(model)) return NotFound(Named(*model) + " is not loaded");
  model->gate().Close();
  if (!timeout) {
    model->gate().WaitUntilEmpty();
  } else if (!model->gate().WaitUntilEmpty(clock_, Later(clock_.Now(), *timeout))) {
    return {Code::kDeadlineExceeded,
            Concat(Named(*model), " still works on ", model->gate().inside(), " requests")};
  }
  model->Stop();
  std::lock_guard lock(mutex_);
  loaded_.erase(model);
  return Ok();
}

uint64_t Engine::inflight() const {
  uint64_t sum = 0;
  for (const auto& model : AllLoaded()) sum += model->gate().inside();
  return sum;
}

bool Engine::WaitIdle(Duration timeout) const {
  const TimePoint deadline = Later(clock_.Now(), timeout);
  while (inflight() > 0) {
    if (clock_.Now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

void Engine::Close() {
  snapshot_.Publish(std::make_shared<const Snapshot>(Snapshot{.models = {},
                                                              .serving = {},
                                                              .index = {},
                                                              .reload_failures = {},
                                                              .live = false,
                                                              .ready = false,
                                                              .exiting = true}));
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  auto models = AllLoaded();
  std::ranges::stable_partition(
      models, [](const auto& model) { return model->definition().is_ensemble(); });
  for (const auto& model : models) {
    // Failing means that somebody else has unloaded it.
    static_cast<void>(Unload(model, {}));
  }
}

}  // namespace despina
