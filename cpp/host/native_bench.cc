// What the engine and the C interface cost per request, from submit to completion: one thread
// submits and waits, the instance's thread runs a backend that does next to nothing.
#include <benchmark/benchmark.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/text.h"
#include "engine/testing.h"
#include "host/native_model.h"

namespace despina::host {
namespace {

constexpr size_t kOutstanding = 16;

// Where answered requests come back to the thread that submitted them, as in a front end.
class Answers final : public Completion {
 public:
  void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override {
    const std::lock_guard lock(mutex_);
    answered_.Append(std::move(request));
    if (answered_.size() == wanted_) changed_.notify_one();
    size_.store(answered_.size(), std::memory_order_release);
  }
  // Sleeps until so many were answered, and takes them.
  RequestChain Sleep(size_t wanted) {
    std::unique_lock lock(mutex_);
    wanted_ = wanted;
    changed_.wait(lock, [this] { return answered_.size() >= wanted_; });
    return Take();
  }
  // Waits awake until something was answered, and takes that.
  RequestChain Poll() {
    while (size_.load(std::memory_order_acquire) == 0) {
    }
    const std::lock_guard lock(mutex_);
    return Take();
  }

 private:
  RequestChain Take() {
    size_.store(0, std::memory_order_relaxed);
    return std::exchange(answered_, {});
  }

  std::atomic<size_t> size_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  RequestChain answered_;
  size_t wanted_ = 0;
};

ModelDefinition Definition(int64_t max_batch_size, bool summaries) {
  ModelDefinition definition = testing::Definition("m", max_batch_size);
  definition.measuring.summaries = summaries;
  definition.batching.dynamic = max_batch_size > 0;
  return definition;
}

// Where this thread and those that it starts may run, until this goes.
class Placed {
 public:
  explicit Placed(bool one_core) {
    sched_getaffinity(0, sizeof before_, &before_);
    if (!one_core) return;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &here);
    sched_setaffinity(0, sizeof here, &here);
  }
  ~Placed() { sched_setaffinity(0, sizeof before_, &before_); }
  Placed(const Placed&) = delete;
  Placed& operator=(const Placed&) = delete;

 private:
  cpu_set_t before_{};
};

// Of the two threads.
enum Threads : int64_t {
  // Neither sleeps while there is work: what the engine itself costs.
  kAwake,
  // 16 requests at a time, and sleep until all are answered; both threads on one core, or on any.
  // In
  // a virtual machine waking the other core is what costs most.
  kAsleepOnOneCore,
  kAsleep,
};
constexpr std::array kLabels{"awake", "asleep on one core", "asleep on any core"};

// The time of a request, 16 of them outstanding, in batches of so many rows; 0: one by one, without
// a batch axis. With summaries, quantiles of the requests' times are measured.
void SubmitExecuteComplete(benchmark::State& state) {
  const Placed placed(state.range(1) == kAsleepOnOneCore);
  const auto library = LoadLibrary(Concat(DESPINA_TEST_BACKENDS, "libprobe.so"), "probe");
  auto backend = NativeBackend::Create(**library, {});
  NativeModelSpec spec;
  spec.name = "m";
  spec.max_batch_size = static_cast<int32_t>(state.range(0));
  auto model = NativeModel::Load(*std::move(backend), std::move(spec));
  testing::Server server;
  const Status served = server.Serve(Definition(state.range(0), state.range(2) == 1),
                                     MakeNativeExecutorFactory(*std::move(model)));
  if (!served.ok()) return state.SkipWithError(served.message().c_str());

  Answers answers;
  const Tensor input = state.range(0) > 0 ? testing::Floats({1, 16}, std::vector<float>(16))
                                          : testing::Floats({16}, std::vector<float>(16));
  size_t outstanding = 0;
  int64_t due = 0;
  while (state.KeepRunningBatch(kOutstanding)) {
    for (due += kOutstanding; due > 0;) {
      for (; outstanding < kOutstanding; ++outstanding) {
        auto request = server.Make("m", input);
        request->completion = &answers;
        server.Add(std::move(request));
      }
      server.submitter.Flush();
      const RequestChain done =
          state.range(1) == kAwake ? answers.Poll() : answers.Sleep(kOutstanding);
      outstanding -= done.size();
      due -= static_cast<int64_t>(done.size());
    }
  }
  answers.Sleep(outstanding);
  state.SetItemsProcessed(state.iterations());
  state.SetLabel(kLabels.at(static_cast<size_t>(state.range(1))));
}
BENCHMARK(SubmitExecuteComplete)
    ->ArgNames({"batch", "threads", "summaries"})
    ->ArgsProduct({{0, 8}, {kAwake, kAsleepOnOneCore, kAsleep}, {0, 1}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace despina::host
