// Backends in shared libraries: their models, and the instances that the engine runs.
#pragma once

#include <despina/abi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "engine/definition.h"
#include "engine/executor.h"
#include "host/library.h"

namespace despina::host {

using Options = std::vector<std::pair<std::string, std::string>>;

// What a backend is told of a model.
struct NativeModelSpec {
  std::string name;
  std::string version;
  std::string path;
  // The whole configuration in its JSON form.
  std::string config;
  int32_t max_batch_size = 0;
  Options parameters;
  std::vector<TensorDefinition> inputs;
  std::vector<TensorDefinition> outputs;
  // Of all of its metrics.
  MetricLabels metric_labels;
};

// What a model says of itself; shapes without the batch axis.
struct NativeSignature {
  // -1: as configured.
  int32_t max_batch_size = -1;
  std::vector<TensorDefinition> inputs;
  std::vector<TensorDefinition> outputs;
  // Nothing: as configured.
  std::optional<bool> decoupled;
};

// A backend, made once for each library. Any thread.
class NativeBackend {
 public:
  // What the backend says when it cannot be made.
  static Result<std::shared_ptr<NativeBackend>> Create(const Library& library,
                                                       const Options& options);
  ~NativeBackend();
  NativeBackend(const NativeBackend&) = delete;
  NativeBackend& operator=(const NativeBackend&) = delete;

  const Library& library() const { return library_; }
  const despina_backend_api& api() const { return library_.api; }
  despina_backend* get() const { return backend_; }

 private:
  NativeBackend(const Library& library, despina_backend* backend)
      : library_(library), backend_(backend) {}

  const Library& library_;
  despina_backend* backend_;
};

// One version of a model. Unloaded when nobody holds it any more: its instances do.
class NativeModel {
 public:
  // What the backend says when it cannot load it. Nothing of it stays behind then.
  static Result<std::shared_ptr<NativeModel>> Load(std::shared_ptr<NativeBackend> backend,
                                                   NativeModelSpec spec);
  ~NativeModel();
  NativeModel(const NativeModel&) = delete;
  NativeModel& operator=(const NativeModel&) = delete;

  const NativeSignature& signature() const { return signature_; }
  const NativeBackend& backend() const { return *backend_; }
  despina_model* get() const { return model_; }
  // Why it cannot serve now, if the backend says so. Any thread.
  Status CheckReady() const;
  // "model 'm' version 1"
  const std::string& label() const { return label_; }

 private:
  class Spec;

  NativeModel(std::shared_ptr<NativeBackend> backend, std::unique_ptr<Spec> spec);
  Status Describe();

  const std::shared_ptr<NativeBackend> backend_;
  // Lent to the backend until the model is unloaded.
  const std::unique_ptr<Spec> spec_;
  const std::string label_;
  despina_model* model_ = nullptr;
  NativeSignature signature_;
};

// Makes the instances of a model whose definition was completed and checked.
std::unique_ptr<ExecutorFactory> MakeNativeExecutorFactory(std::shared_ptr<NativeModel> model);

}  // namespace despina::host
