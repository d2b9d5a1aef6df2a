#include "engine/snapshot.h"

#include <utility>

#include "base/text.h"
#include "engine/model.h"

namespace despina {

const std::shared_ptr<Model>& Snapshot::Find(std::string_view model,
                                             std::optional<int64_t> version) const {
  static const std::shared_ptr<Model> none;
  const auto entry = models.find(model);
  if (entry == models.end() || entry->second.versions.empty()) return none;
  const auto& versions = entry->second.versions;
  if (!version) return versions.rbegin()->second;
  const auto found = versions.find(*version);
  return found == versions.end() ? none : found->second;
}

Status Snapshot::Missing(std::string_view model, std::optional<int64_t> version) const {
  const auto entry = models.find(model);
  std::string text = Concat("Request for unknown model: '", model, "'");
  if (entry == models.end()) {
    text += " is not found";
    return namespaces ? InvalidArgument(std::move(text)) : NotFound(std::move(text));
  }
  if (const size_t count = entry->second.identifiers; count > 1) {
    return InvalidArgument(
        Concat("There are ", count, " identifiers of model '", model,
               "' in global map, model namespace must be provided to resolve ambiguity."));
  }
  if (!version || entry->second.versions.empty()) {
    return NotFound(text + " has no available versions");
  }
  return NotFound(Concat(text, " version ", *version, " is not found"));
}

Result<ModelRef> EnterModel(Published<Snapshot>::Reader& snapshot, std::string_view model,
                            std::optional<int64_t> version) {
  const auto enter = [](const std::shared_ptr<Model>& found) {
    return found ? found->Enter() : ModelRef();
  };
  const std::shared_ptr<Model>& first = snapshot.Get().Find(model, version);
  if (ModelRef entered = enter(first)) return entered;
  // It is being unloaded. What takes its place was published before: look once more. It is kept
  // meanwhile, so that no other can lie where it does.
  std::shared_ptr<Model> found = first;
  while (found) {
    std::shared_ptr<Model> next = snapshot.Get().Find(model, version);
    if (next == found) break;
    found = std::move(next);
    if (ModelRef entered = enter(found)) return entered;
  }
  return snapshot.Get().Missing(model, version);
}

}  // namespace despina
