// A model without an engine, for tests of front ends.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/published.h"
#include "base/thread.h"
#include "engine/submit.h"
#include "memory/pool.h"

namespace despina::frontend::testing {

// Gives back its input INPUT0, FP32 [-1], as OUTPUT0.
class FakeModel final : public Model {
 public:
  enum class Answers : uint8_t {
    kAtOnce,        // while the request is being submitted
    kOnItsThread,   // as an instance does
    kWhenReleased,  // when the test says so, or the request is cancelled
    kOnlyWhenReleased,
  };

  FakeModel(std::string name, Answers answers, bool decoupled = false)
      : Model(Definition(std::move(name), decoupled), Clock::System()), answers_(answers) {
    if (answers_ == Answers::kOnItsThread) thread_ = Thread("fake model", [this] { Serve(); });
  }
  ~FakeModel() override { Stop(); }

  void Enqueue(RequestChain chain, Turn& turn) override {
    if (answers_ == Answers::kAtOnce) return AnswerAll(std::move(chain), turn);
    std::lock_guard lock(mutex_);
    arrived_ += chain.size();
    waiting_.Append(std::move(chain));
    changed_.notify_all();
  }

  void Cancel(Request& request) override {
    std::unique_ptr<Request> taken;
    {
      std::lock_guard lock(mutex_);
      ++cancelled_;
      changed_.notify_all();
      if (answers_ == Answers::kOnlyWhenReleased) return;
      const Request* each = waiting_.front();
      while (each != nullptr && each != &request) each = RequestChain::Next(*each);
      if (each != nullptr) taken = waiting_.Take(request);
    }
    if (!taken) return;
    taken->response.status = Status(Code::kCancelled, "the request was cancelled");
    Turn turn;
    Completion* completion = taken->completion;
    completion->OnComplete(std::move(taken), turn);
  }

  void Stop() override {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    thread_.Join();
  }

  // Answers what waits.
  void Release() {
    Turn turn;
    AnswerAll(Take(), turn);
  }
  // A part of the answer to what waits; then its end, which holds nothing.
  void SendPart(float value) {
    std::lock_guard lock(mutex_);
    for (Request* each = waiting_.front(); each != nullptr; each = each->state.next) {
      Buffer buffer = *pool_.Allocate(sizeof value);
      std::memcpy(buffer.writable().data(), &value, sizeof value);
      Response part;
      part.outputs = {{0, {DataType::kFp32, {1}, Slice(std::move(buffer))}}};
      each->completion->OnPart(*each, std::move(part));
    }
  }
  void End(const Status& status = Ok()) {
    Turn turn;
    RequestChain chain = Take();
    while (!chain.empty()) {
      std::unique_ptr<Request> request = chain.TakeFirst();
      request->response.status = status;
      Completion* completion = request->completion;
      completion->OnComplete(std::move(request), turn);
    }
  }
  size_t arrived() {
    std::lock_guard lock(mutex_);
    return arrived_;
  }
  void WaitForArrivals(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }
  void WaitForCancellations(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return cancelled_ >= count; });
  }

 private:
  static ModelDefinition Definition(std::string name, bool decoupled) {
    ModelDefinition definition;
    definition.decoupled = decoupled;
    definition.name = std::move(name);
    definition.version = 1;
    definition.platform = "fake";
    TensorDefinition tensor;
    tensor.datatype = DataType::kFp32;
    tensor.dims = Shape{-1};
    tensor.name = "INPUT0";
    definition.inputs.push_back(tensor);
    tensor.name = "OUTPUT0";
    definition.outputs.push_back(tensor);
    definition.config_json = R"({"name":")" + definition.name + R"("})";
    return definition;
  }

  RequestChain Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

  static void AnswerAll(RequestChain chain, Turn& turn) {
    while (!chain.empty()) {
      std::unique_ptr<Request> request = chain.TakeFirst();
      request->response.outputs.push_back({.index = 0, .tensor = *request->inputs[0]});
      Completion* completion = request->completion;
      completion->OnComplete(std::move(request), turn);
    }
  }

  void Serve() {
    Turn turn;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
      }
      AnswerAll(Take(), turn);
    }
  }

  const Answers answers_;
  BufferPool pool_;
  std::mutex mutex_;
  std::condition_variable changed_;
  RequestChain waiting_;
  size_t arrived_ = 0;
  size_t cancelled_ = 0;
  bool stopped_ = false;
  Thread thread_;
};

inline std::shared_ptr<const Snapshot> SnapshotOf(
    const std::vector<std::shared_ptr<FakeModel>>& models, bool ready = true) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->ready = ready;
  for (const auto& model : models) {
    snapshot->models[model->definition().name].versions[1] = model;
    snapshot->serving.push_back(model);
  }
  std::ranges::sort(snapshot->serving, {}, [](const auto& model) -> const std::string& {
    return model->definition().name;
  });
  return snapshot;
}

}  // namespace despina::frontend::testing
