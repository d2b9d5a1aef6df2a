// What the engine and the C interface cost per request, from submit to completion: one thread
// submits and waits, the instance's thread runs a backend that does next to nothing.
#include <benchmark/benchmark.h>
#include <sched.h>

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
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      wake = waiting_ && answered_.empty();
      answered_.Append(std::move(request));
      count_.store(answered_.size(), std::memory_order_release);
    }
    if (wake) changed_.notify_one();
  }
  // Waits until something was answered.
  RequestChain Take() {
    if (getenv("POLL")) while (count_.load(std::memory_order_acquire) == 0) __builtin_ia32_pause();
    std::unique_lock lock(mutex_);
    waiting_ = true;
    changed_.wait(lock, [this] { return !answered_.empty(); });
    waiting_ = false;
    count_ = 0;
    return std::exchange(answered_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<size_t> count_ = 0;
  RequestChain answered_;
  bool waiting_ = false;
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

// 16 requests at a time, in batches of so many rows; 0: one by one, without a batch axis. Both
// threads share a core, or do not: in a virtual machine waking the other core is what costs most.
// With summaries, quantiles of the requests' times are measured.
void SubmitExecuteComplete(benchmark::State& state) {
  const Placed placed(state.range(1) == 1);
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
  const auto submit = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      auto request = server.Make("m", input);
      request->completion = &answers;
      server.Add(std::move(request));
    }
    server.submitter.Flush();
  };
  submit(kOutstanding);
  int64_t answered = 0;
  while (state.KeepRunningBatch(kOutstanding)) {
    for (size_t done = 0; done < kOutstanding;) {
      size_t free = answers.Take().size();
      done += free;
      answered += static_cast<int64_t>(free);
      submit(free);
    }
  }
  for (size_t left = kOutstanding; left > 0;) left -= answers.Take().size();
  state.SetItemsProcessed(answered);
}
BENCHMARK(SubmitExecuteComplete)
    ->ArgNames({"batch", "one_core", "summaries"})
    ->ArgsProduct({{0, 8}, {1, 0}, {0, 1}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace despina::host
