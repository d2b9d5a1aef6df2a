#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/text.h"
#include "engine/ensemble.h"
#include "engine/queued_model.h"

namespace despina {
namespace {

std::string Named(const Engine::Version& version) {
  return Concat("model '", version.first, "' version ", version.second);
}

}  // namespace

Engine::Engine(Allocator& allocator, Clock& clock)
    : allocator_(allocator), clock_(clock), snapshot_(std::make_shared<const Snapshot>()) {}

void Engine::SetReady(const Version& version, bool ready) {
  if (const std::shared_ptr<Model> model = Loaded(version)) model->SetReady(ready);
}

void Engine::SetLoadTime(const Version& version, Duration time) {
  if (const std::shared_ptr<Model> model = Loaded(version)) model->SetLoadTime(time);
}

std::shared_ptr<Model> Engine::Loaded(const Version& version) const {
  std::lock_guard lock(mutex_);
  const auto found = loaded_.find(version);
  return found == loaded_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<Model>> Engine::AllLoaded() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Model>> models;
  models.reserve(loaded_.size());
  for (const auto& [version, model] : loaded_) models.push_back(model);
  return models;
}

Status Engine::Load(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory) {
  const Version version{definition.name, definition.version};
  if (Loaded(version)) {
    return {Code::kAlreadyExists, Named(version) + " is loaded already"};
  }
  const bool ensemble = definition.is_ensemble();
  Result<std::shared_ptr<Model>> model =
      ensemble ? EnsembleModel::Make(std::move(definition), snapshot_, clock_)
               : QueuedModel::Start(std::move(definition), std::move(factory), allocator_, clock_);
  if (!model.ok()) return model.status();
  std::lock_guard lock(mutex_);
  // Somebody may have loaded it meanwhile, or closed the engine. `model` then ends its instances
  // after the lock is left.
  if (closed_) return Unavailable("the server is shutting down");
  if (loaded_.try_emplace(version, *model).second) return Ok();
  return {Code::kAlreadyExists, Named(version) + " is loaded already"};
}

Status Engine::Publish(const Publication& publication) {
  auto next = std::make_shared<Snapshot>();
  next->live = publication.live;
  next->ready = publication.ready;
  next->exiting = publication.exiting;
  next->tracer = &tracer_;
  for (const std::string& name : publication.known) next->models[name];
  for (const Version& version : publication.serving) {
    std::shared_ptr<Model> model = Loaded(version);
    if (!model) return NotFound(Named(version) + " is not loaded");
    next->models[version.first].versions[version.second] = std::move(model);
  }
  snapshot_.Publish(std::move(next));
  return Ok();
}

Status Engine::Unload(const Version& version, std::optional<Duration> timeout) {
  const std::shared_ptr<Model> model = Loaded(version);
  if (!model) return NotFound(Named(version) + " is not loaded");
  model->gate().Close();
  if (!timeout) {
    model->gate().WaitUntilEmpty();
  } else if (!model->gate().WaitUntilEmpty(clock_, Later(clock_.Now(), *timeout))) {
    return {Code::kDeadlineExceeded,
            Concat(Named(version), " still works on ", model->gate().inside(), " requests")};
  }
  model->Stop();
  std::lock_guard lock(mutex_);
  // Unless somebody else was faster, and perhaps has loaded another one.
  const auto found = loaded_.find(version);
  if (found != loaded_.end() && found->second == model) loaded_.erase(found);
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
  snapshot_.Publish(std::make_shared<const Snapshot>(
      Snapshot{.models = {}, .live = false, .ready = false, .exiting = true}));
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  auto models = AllLoaded();
  std::ranges::stable_partition(
      models, [](const auto& model) { return model->definition().is_ensemble(); });
  for (const auto& model : models) {
    // Failing means that somebody else has unloaded it.
    static_cast<void>(Unload({model->definition().name, model->definition().version}, {}));
  }
}

}  // namespace despina
