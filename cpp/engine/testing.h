// Test doubles for the engine and for what is built on it. Not for production code.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/executor.h"
#include "engine/submit.h"
#include "memory/pool.h"

namespace despina::testing {

// Buffers of tests; never destroyed, so that they may outlive everything.
inline BufferPool& Memory() {
  static auto* pool = std::make_unique<BufferPool>().release();
  return *pool;
}

inline Slice Bytes(std::string_view text) {
  Buffer buffer = *Memory().Allocate(text.size());
  if (!text.empty()) std::memcpy(buffer.writable().data(), text.data(), text.size());
  return Slice(std::move(buffer));
}

inline Tensor Floats(const Shape& shape, const std::vector<float>& values) {
  const auto* bytes = reinterpret_cast<const char*>(values.data());
  return {DataType::kFp32, shape, Bytes({bytes, values.size() * sizeof(float)})};
}

inline Tensor Strings(const Shape& shape, const std::vector<std::string>& values) {
  std::string data;
  for (const std::string& value : values) {
    const auto size = static_cast<uint32_t>(value.size());
    data.append(reinterpret_cast<const char*>(&size), sizeof size);
    data.append(value);
  }
  return {DataType::kBytes, shape, Bytes(data)};
}

inline std::vector<float> FloatsOf(const Tensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

inline std::vector<std::string> StringsOf(const Tensor& tensor) {
  std::vector<std::string> values;
  BytesReader reader(tensor.data.bytes());
  while (const auto element = reader.Next()) {
    values.emplace_back(reinterpret_cast<const char*>(element->data()), element->size());
  }
  return values;
}

inline TensorDefinition Fp32(std::string name, const Shape& dims = {-1}) {
  TensorDefinition tensor;
  tensor.name = std::move(name);
  tensor.dims = dims;
  return tensor;
}

// A model "IN" -> "OUT" with one instance; change what matters.
inline ModelDefinition Definition(std::string name, int64_t max_batch_size = 0) {
  ModelDefinition definition;
  definition.name = std::move(name);
  definition.platform = "test";
  definition.max_batch_size = max_batch_size;
  definition.inputs = {Fp32("IN")};
  definition.outputs = {Fp32("OUT")};
  definition.instances = {{definition.name + "_0"}};
  return definition;
}

inline void AddInstance(ModelDefinition& definition) {
  const auto ordinal = static_cast<uint32_t>(definition.instances.size());
  definition.instances.push_back({definition.name + "_" + std::to_string(ordinal), ordinal});
}

using ExecuteFunction = std::function<void(Batch&)>;

class FunctionExecutor final : public Executor {
 public:
  explicit FunctionExecutor(ExecuteFunction execute) : execute_(std::move(execute)) {}
  void Execute(Batch& batch) override { execute_(batch); }

 private:
  ExecuteFunction execute_;
};

// All instances share the function.
class FunctionFactory final : public ExecutorFactory {
 public:
  explicit FunctionFactory(ExecuteFunction execute) : execute_(std::move(execute)) {}
  Result<std::unique_ptr<Executor>> Create(const InstanceDefinition&) override {
    return std::unique_ptr<Executor>(std::make_unique<FunctionExecutor>(execute_));
  }

 private:
  ExecuteFunction execute_;
};

inline std::unique_ptr<ExecutorFactory> Executing(ExecuteFunction execute) {
  return std::make_unique<FunctionFactory>(std::move(execute));
}

// Every input goes to the output of its place.
inline void Identity(Batch& batch) {
  Status status;
  for (uint32_t i = 0; i < batch.definition().inputs.size() && status.ok(); ++i) {
    const Result<const Tensor*> input = batch.Gather(i);
    status = input.status();
    if (input.ok() && *input != nullptr) status = batch.Scatter(i, **input);
  }
  batch.CompleteUnanswered(status);
}

// Holds every batch until the test lets it run.
class Puppet {
 public:
  explicit Puppet(ExecuteFunction then = Identity) : then_(std::move(then)) {}

  std::unique_ptr<ExecutorFactory> Factory() {
    return Executing([this](Batch& batch) { Execute(batch); });
  }
  // Rows of the batches that have been begun, in order; waits until there are `count`.
  std::vector<uint32_t> Begun(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return rows_.size() >= count; });
    return rows_;
  }
  void Allow(size_t batches) {
    std::lock_guard lock(mutex_);
    allowed_ += batches;
    changed_.notify_all();
  }

 private:
  void Execute(Batch& batch) {
    std::unique_lock lock(mutex_);
    rows_.push_back(batch.rows());
    changed_.notify_all();
    changed_.wait(lock, [this] { return allowed_ > 0; });
    --allowed_;
    lock.unlock();
    then_(batch);
  }

  const ExecuteFunction then_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint32_t> rows_;
  size_t allowed_ = 0;
};

// Keeps the answers in the order in which they came.
class Answers final : public Completion {
 public:
  void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override {
    std::lock_guard lock(mutex_);
    if (discarding_) return;
    answers_.push_back(std::move(request));
    changed_.notify_all();
  }
  // Nobody asks any more. What is kept holds its model's gate.
  void Discard() {
    std::lock_guard lock(mutex_);
    discarding_ = true;
    answers_.clear();
  }
  // Waits for the next one.
  std::unique_ptr<Request> Next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return taken_ < answers_.size(); });
    return std::move(answers_[taken_++]);
  }
  // How many have come.
  size_t count() {
    std::lock_guard lock(mutex_);
    return answers_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Request>> answers_;
  size_t taken_ = 0;
  bool discarding_ = false;
};

struct Server {
  explicit Server(Clock& time = Clock::System())
      : engine(Memory(), time), submitter(engine.snapshot()) {}
  ~Server() {
    answers.Discard();
    engine.Close();
  }

  // Loads a model and lets everything that is loaded take requests. Steps of an ensemble get the
  // model of their name that was loaded last.
  Status Serve(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory) {
    std::vector<std::shared_ptr<Model>> members;
    for (const StepDefinition& step : definition.steps) members.push_back(Served(step.model));
    Result<std::shared_ptr<Model>> loaded =
        engine.Load(std::move(definition), std::move(factory), std::move(members));
    if (!loaded.ok()) return loaded.status();
    serving.push_back(*std::move(loaded));
    return engine.Publish({.index = {}, .serving = serving, .ready = true});
  }
  std::shared_ptr<Model> Served(std::string_view model) const {
    const auto found = std::find_if(serving.rbegin(), serving.rend(), [&](const auto& each) {
      return each->definition().name == model;
    });
    EXPECT_NE(found, serving.rend()) << model;
    return *found;
  }
  // A request with its first input, not yet submitted.
  std::unique_ptr<Request> Make(std::string_view model, std::optional<Tensor> input) {
    Result<ModelRef> entered = submitter.Find(model, std::nullopt);
    EXPECT_TRUE(entered.ok()) << entered.status().message();
    auto request = std::make_unique<Request>(*std::move(entered));
    if (input) request->inputs[0] = *std::move(input);
    request->completion = &answers;
    return request;
  }
  Request* Add(std::unique_ptr<Request> request) {
    Request* at = request.get();
    const Status submitted = submitter.Submit(request);
    EXPECT_TRUE(submitted.ok()) << submitted.message();
    return at;
  }
  Request* Send(std::string_view model, Tensor input) {
    Request* at = Add(Make(model, std::move(input)));
    submitter.Flush();
    return at;
  }
  ModelCounts Counts(std::string_view model) {
    return engine.snapshot().Get()->Find(model, std::nullopt)->Counts();
  }

  Answers answers;
  Engine engine;
  Submitter submitter;
  std::vector<std::shared_ptr<Model>> serving;
};

}  // namespace despina::testing
