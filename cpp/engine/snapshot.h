// The models and the state of the server at one moment: what reads are answered from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "base/published.h"
#include "base/status.h"

namespace despina {

class Model;
class ModelRef;
class Tracer;

// A row of the repository index: a version of a model, and how it is.
struct IndexRow {
  std::string name{};
  // Nothing for a model that could not be read.
  std::optional<int64_t> version{};
  // Empty for a model that nobody has asked to load.
  std::string state{};
  std::string reason{};
};

// How often a change of a model could not be loaded while it served.
struct ReloadFailures {
  // Of the model, as the metrics page has them.
  MetricLabels labels{};
  uint64_t count = 0;
};

// Never changed once it is published.
struct Snapshot {
  struct Entry {
    // Those that take requests, by version number. Empty for a model that is known and not ready.
    std::map<int64_t, std::shared_ptr<Model>> versions;
    // How many models have this name. Of several none takes requests by its name.
    size_t identifiers = 1;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> models;
  // All that take requests, by name and version; also those that share a name, which only
  // ensembles reach.
  std::vector<std::shared_ptr<Model>> serving;
  // By name and version.
  std::vector<IndexRow> index;
  std::vector<ReloadFailures> reload_failures;
  // What /v2/health answers.
  bool live = true;
  bool ready = false;
  // The server is shutting down and takes nothing new.
  bool exiting = false;
  // Decides which requests are traced; null: none is. Outlives all snapshots.
  Tracer* tracer = nullptr;
  // Models of several repositories may have one name.
  bool namespaces = false;

  // Nothing for `version`: the highest. Null unless it takes requests. Good as long as this is.
  const std::shared_ptr<Model>& Find(std::string_view model, std::optional<int64_t> version) const;
  // Why Find() gave nothing, in the protocol's words.
  Status Missing(std::string_view model, std::optional<int64_t> version) const;
};

// Finds a model and enters its gate. NOT_FOUND with the protocol's texts.
Result<ModelRef> EnterModel(Published<Snapshot>::Reader& snapshot, std::string_view model,
                            std::optional<int64_t> version);

}  // namespace despina
