// A model that instances run, through the engine that loads it.
#include "engine/queued_model.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using std::chrono::milliseconds;
using testing::Definition;
using testing::Executing;
using testing::Floats;
using testing::FloatsOf;
using testing::Identity;
using testing::Puppet;
using testing::Server;

// Makes instances until one is told to fail, and notes what becomes of them.
class WatchedFactory final : public ExecutorFactory {
 public:
  struct Notes {
    std::mutex mutex;
    std::set<std::thread::id> threads;
    std::atomic<int> made{0};
    std::atomic<int> destroyed{0};
    std::atomic<bool> gone{false};
  };
  WatchedFactory(Notes& notes, std::string failing) : notes_(notes), failing_(std::move(failing)) {}
  ~WatchedFactory() override { notes_.gone = true; }

  Result<std::unique_ptr<Executor>> Create(const InstanceDefinition& instance) override {
    if (instance.name == failing_) return Status(Code::kNotFound, "no such file");
    ++notes_.made;
    return std::unique_ptr<Executor>(std::make_unique<Watched>(notes_));
  }

 private:
  class Watched final : public Executor {
   public:
    explicit Watched(Notes& notes) : notes_(notes), thread_(std::this_thread::get_id()) {
      std::lock_guard lock(notes_.mutex);
      notes_.threads.insert(thread_);
    }
    ~Watched() override {
      EXPECT_EQ(std::this_thread::get_id(), thread_);
      EXPECT_FALSE(notes_.gone);
      ++notes_.destroyed;
    }
    void Execute(Batch& batch) override {
      EXPECT_EQ(std::this_thread::get_id(), thread_);
      Identity(batch);
    }

   private:
    Notes& notes_;
    const std::thread::id thread_;
  };

  Notes& notes_;
  const std::string failing_;
};

class QueuedModelTest : public ::testing::Test {
 protected:
  void Serve(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory) {
    const Status served = server_.Serve(std::move(definition), std::move(factory));
    ASSERT_TRUE(served.ok()) << served.message();
  }
  static Tensor Row(float value) { return Floats({1, 1}, {value}); }

  ManualClock clock_;
  Server server_{clock_};
};

// Runs each batch until it is told that nobody waits for its request.
class BlockingExecutor final : public Executor {
 public:
  void Execute(Batch& batch) override {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [&] { return cancelled_ == &batch.request(0); });
    batch.CompleteUnanswered(Status(Code::kCancelled, "stopped"));
  }
  void Cancelled(const Request& request) override {
    std::lock_guard lock(mutex_);
    cancelled_ = &request;
    told_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable told_;
  const Request* cancelled_ = nullptr;
};

class BlockingFactory final : public ExecutorFactory {
 public:
  Result<std::unique_ptr<Executor>> Create(const InstanceDefinition&) override {
    return std::unique_ptr<Executor>(std::make_unique<BlockingExecutor>());
  }
};

TEST_F(QueuedModelTest, AnswersRequests) {
  Serve(Definition("m", 8), Executing(Identity));
  server_.Send("m", Floats({2, 1}, {3, 4}));
  const auto answer = server_.answers.Next();
  ASSERT_TRUE(answer->response.status.ok()) << answer->response.status.message();
  EXPECT_EQ(answer->response.outputs[0].index, 0u);
  EXPECT_EQ(FloatsOf(answer->response.outputs[0].tensor), (std::vector<float>{3, 4}));
}

TEST_F(QueuedModelTest, InstancesAreMadeRunAndDestroyedOnTheirOwnThreads) {
  WatchedFactory::Notes notes;
  ModelDefinition definition = Definition("m", 8);
  testing::AddInstance(definition);
  Serve(std::move(definition), std::make_unique<WatchedFactory>(notes, ""));
  EXPECT_EQ(notes.threads.size(), 2u);
  server_.Send("m", Row(1));
  server_.answers.Next();
  server_.engine.Close();
  EXPECT_EQ(notes.destroyed, 2);
  // Although the submitter still holds the snapshot that names the model.
  EXPECT_TRUE(notes.gone);
}

TEST_F(QueuedModelTest, AnExecutorIsToldThatARequestWhichItRunsWasCancelled) {
  Serve(Definition("m"), std::make_unique<BlockingFactory>());
  Request* running = server_.Send("m", Floats({1}, {1}));
  // Until the instance has taken it, cancelling takes it out of the queue.
  while (server_.Counts("m").pending > 0) std::this_thread::yield();
  running->Cancel();
  EXPECT_EQ(server_.answers.Next()->response.status.code(), Code::kCancelled);
}

TEST_F(QueuedModelTest, AnInstanceThatFailsEndsTheOthersAndIsNamed) {
  WatchedFactory::Notes notes;
  ModelDefinition definition = Definition("m", 8);
  testing::AddInstance(definition);
  testing::AddInstance(definition);
  const Status failed =
      server_.engine.Load(definition, std::make_unique<WatchedFactory>(notes, "m_1")).status();
  EXPECT_EQ(failed.code(), Code::kNotFound);
  EXPECT_EQ(failed.message(), "instance 'm_1': no such file");
  EXPECT_EQ(notes.made, 2);
  EXPECT_EQ(notes.destroyed, 2);
  EXPECT_TRUE(notes.gone);
}

TEST_F(QueuedModelTest, WithoutInstancesOrAnExecutorThereIsNoModel) {
  ModelDefinition definition = Definition("m");
  EXPECT_EQ(server_.engine.Load(definition, nullptr).status().message(),
            "model 'm' has nothing that runs it");
  definition.instances.clear();
  EXPECT_EQ(server_.engine.Load(definition, Executing(Identity)).status().code(),
            Code::kInvalidArgument);
}

// In a process of its own, which has room for some of the threads' stacks.
TEST(QueuedModelDeathTest, AThreadThatCannotBeMadeFailsTheLoad) {
#ifdef DESPINA_SANITIZED
  GTEST_SKIP() << "sanitizers need the address space that this test takes away";
#endif
  const auto load = [] {
    // The threads that do start find memory: all of it is the heap's, which has some to spare.
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 256 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    std::free(std::malloc(64 << 20));
    const rlimit limit{.rlim_cur = 512 << 20, .rlim_max = 512 << 20};
    if (setrlimit(RLIMIT_AS, &limit) != 0) std::_Exit(2);
    Engine engine(testing::Memory());
    ModelDefinition definition = Definition("m");
    for (int i = 0; i < 200; ++i) testing::AddInstance(definition);
    const Status status = engine.Load(std::move(definition), Executing(Identity)).status();
    std::fputs(status.message().c_str(), stderr);
    std::_Exit(status.code() == Code::kResourceExhausted ? 0 : 1);
  };
  EXPECT_EXIT(load(), ::testing::ExitedWithCode(0), "instance 'm_[0-9]+': no thread for it");
}

TEST_F(QueuedModelTest, WhatOneFlushBringsIsOneBatch) {
  Puppet puppet;
  ModelDefinition definition = Definition("m", 4);
  definition.batching.dynamic = true;
  Serve(std::move(definition), puppet.Factory());
  server_.Send("m", Row(0));
  puppet.Begun(1);
  for (int i = 0; i < 9; ++i) server_.Add(server_.Make("m", Row(1)));
  server_.submitter.Flush();
  puppet.Allow(4);
  EXPECT_EQ(puppet.Begun(4), (std::vector<uint32_t>{1, 4, 4, 1}));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(server_.answers.Next()->response.status.ok());
}

TEST_F(QueuedModelTest, RefusesWhatTheQueueHasNoRoomFor) {
  Puppet puppet;
  ModelDefinition definition = Definition("m", 4);
  definition.batching.max_queue_size = 2;
  Serve(std::move(definition), puppet.Factory());
  server_.Send("m", Row(0));
  puppet.Begun(1);
  for (int i = 0; i < 9; ++i) {
    auto request = server_.Make("m", Row(1));
    request->id = std::to_string(i);
    server_.Add(std::move(request));
  }
  server_.submitter.Flush();
  EXPECT_EQ(server_.Counts("m").pending, 2u);
  for (int i = 2; i < 9; ++i) {
    const auto refused = server_.answers.Next();
    EXPECT_EQ(refused->response.status.code(), Code::kUnavailable);
    EXPECT_EQ(refused->response.status.message(),
              "[request id: " + std::to_string(i) + "] Exceeds maximum queue size");
  }
  puppet.Allow(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  const ModelCounts counts = server_.Counts("m");
  EXPECT_EQ(counts.success.count, 3u);
  EXPECT_EQ(counts.failures[static_cast<size_t>(FailureReason::kRejected)], 7u);
}

TEST_F(QueuedModelTest, ACancelledRequestLeavesTheQueueAtOnce) {
  Puppet puppet;
  Serve(Definition("m", 4), puppet.Factory());
  server_.Send("m", Row(0));
  puppet.Begun(1);
  Request* waiting = server_.Send("m", Row(1));
  waiting->Cancel();
  const auto answer = server_.answers.Next();
  EXPECT_EQ(answer.get(), waiting);
  EXPECT_EQ(answer->response.status.code(), Code::kCancelled);
  EXPECT_EQ(server_.Counts("m").pending, 0u);
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  EXPECT_EQ(server_.Counts("m").failures[static_cast<size_t>(FailureReason::kCanceled)], 1u);
}

TEST_F(QueuedModelTest, WhatIsCancelledBeforeItIsQueuedIsNotRun) {
  Puppet puppet;
  Serve(Definition("m", 4), puppet.Factory());
  auto request = server_.Make("m", Row(1));
  Request* cancelled = server_.Add(std::move(request));
  cancelled->Cancel();
  server_.submitter.Flush();
  EXPECT_EQ(server_.answers.Next()->response.status.code(), Code::kCancelled);
  server_.Send("m", Row(1));
  EXPECT_EQ(puppet.Begun(1).size(), 1u);
  puppet.Allow(1);
  server_.answers.Next();
}

TEST_F(QueuedModelTest, ARunningRequestSeesThatItIsCancelledAndKeepsItsAnswer) {
  std::atomic<bool> seen{false};
  Puppet puppet([&seen](Batch& batch) {
    seen = batch.request(0).cancelled();
    Identity(batch);
  });
  Serve(Definition("m", 4), puppet.Factory());
  Request* running = server_.Send("m", Row(0));
  puppet.Begun(1);
  running->Cancel();
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  EXPECT_TRUE(seen);
}

TEST_F(QueuedModelTest, StopServesWhatIsQueued) {
  Puppet puppet;
  Serve(Definition("m", 4), puppet.Factory());
  for (int i = 0; i < 5; ++i) server_.Add(server_.Make("m", Row(1)));
  server_.submitter.Flush();
  puppet.Begun(1);
  std::thread closing([this] { server_.engine.Close(); });
  puppet.Allow(5);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  closing.join();
}

// What is answered first waits with its answer for those that came before it.
TEST_F(QueuedModelTest, PreservesTheOrderOfArrival) {
  std::mutex mutex;
  std::map<std::string, DetachedRequest> held;
  ModelDefinition definition = Definition("m", 4);
  testing::AddInstance(definition);
  definition.batching.preserve_ordering = true;
  Serve(std::move(definition), Executing([&](Batch& batch) {
          std::lock_guard lock(mutex);
          const std::string id = batch.request(0).id;
          held.emplace(id, batch.Detach(0));
        }));
  for (const char* id : {"0", "1", "2"}) {
    auto request = server_.Make("m", Row(1));
    request->id = id;
    server_.Add(std::move(request));
    server_.submitter.Flush();
  }
  const auto all_held = [&] {
    std::lock_guard lock(mutex);
    return held.size() == 3;
  };
  while (!all_held()) std::this_thread::yield();
  held.at("2").Complete(Ok());
  held.at("1").Complete(Ok());
  EXPECT_EQ(server_.answers.count(), 0u);
  held.at("0").Complete(Ok());
  EXPECT_EQ(server_.answers.count(), 3u);
  for (const char* id : {"0", "1", "2"}) EXPECT_EQ(server_.answers.Next()->id, id);
}

// The last answer frees the model while the thread that gave it is still on its way back.
TEST_F(QueuedModelTest, CanGoWhileItsLastAnswerIsGiven) {
  class Dropping final : public Completion {
   public:
    void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override { request.reset(); }
  };
  for (int round = 0; round < 50; ++round) {
    Engine engine(testing::Memory());
    Submitter submitter(engine.snapshot());
    Dropping dropping;
    ModelDefinition definition = Definition("m", 4);
    definition.batching.preserve_ordering = round % 2 == 0;
    std::vector<std::thread> answering;
    const auto loaded = engine.Load(
        std::move(definition), Executing([&](Batch& batch) {
          answering.emplace_back([later = batch.Detach(0)]() mutable { later.Complete(Ok()); });
        }));
    ASSERT_TRUE(loaded.ok());
    ASSERT_TRUE(engine.Publish({.index = {}, .serving = {*loaded}}).ok());
    {
      auto request = std::make_unique<Request>(*submitter.Find("m", std::nullopt));
      request->inputs[0] = Row(1);
      request->completion = &dropping;
      ASSERT_TRUE(submitter.Submit(request).ok());
      submitter.Flush();
    }
    ASSERT_TRUE(engine.Publish({}).ok());
    EXPECT_FALSE(submitter.Find("m", std::nullopt).ok());  // lets go of the old snapshot
    ASSERT_TRUE(engine.Unload(*loaded, std::nullopt).ok());
    for (std::thread& each : answering) each.join();
  }
}

TEST_F(QueuedModelTest, StatisticsAddUpExactly) {
  ModelDefinition definition = Definition("m", 8);
  definition.batching.dynamic = true;
  Puppet puppet([this](Batch& batch) {
    clock_.Advance(milliseconds(3));
    const Tensor& input = **batch.Gather(0);
    if (FloatsOf(input)[0] < 0) return batch.CompleteUnanswered(Internal("negative"));
    ASSERT_TRUE(batch.Scatter(0, input).ok());
    batch.CompleteUnanswered(Ok());
  });
  Serve(std::move(definition), puppet.Factory());
  server_.Send("m", Row(-1));
  puppet.Begun(1);
  server_.Add(server_.Make("m", Floats({2, 1}, {1, 2})));
  server_.Add(server_.Make("m", Row(3)));
  server_.submitter.Flush();
  EXPECT_EQ(server_.Counts("m").pending, 2u);
  puppet.Allow(2);
  for (int i = 0; i < 3; ++i) server_.answers.Next();
  const ModelCounts counts = server_.Counts("m");
  EXPECT_EQ(counts.success.count, 2u);
  EXPECT_EQ(counts.success.nanoseconds, 12'000'000u);  // each: 3 ms of waiting, 3 ms of running
  EXPECT_EQ(counts.queue.nanoseconds, 6'000'000u);
  EXPECT_EQ(counts.compute_infer.nanoseconds, 6'000'000u);
  EXPECT_EQ(counts.fail.count, 1u);
  EXPECT_EQ(counts.fail.nanoseconds, 3'000'000u);
  EXPECT_EQ(counts.failures[static_cast<size_t>(FailureReason::kBackend)], 1u);
  EXPECT_EQ(counts.inference_count, 3u);
  EXPECT_EQ(counts.execution_count, 2u);
  ASSERT_EQ(counts.batches.size(), 1u);
  EXPECT_EQ(counts.batches.at(3).compute_infer.count, 1u);
  EXPECT_EQ(counts.batches.at(3).compute_infer.nanoseconds, 3'000'000u);
  EXPECT_GT(counts.last_inference_ms, 0u);
  EXPECT_EQ(counts.pending, 0u);
}

// Many clients, two instances, some cancelled: everybody is answered once, with his own data.
TEST_F(QueuedModelTest, ServesManyThreads) {
  Server server;
  ModelDefinition definition = Definition("m", 8);
  testing::AddInstance(definition);
  definition.batching.dynamic = true;
  definition.batching.max_delay = std::chrono::microseconds(20);
  ASSERT_TRUE(server.Serve(std::move(definition), Executing(Identity)).ok());
  constexpr int kEach = 400;
  std::atomic<int> succeeded{0};
  std::atomic<int> cancelled{0};
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      Submitter submitter(server.engine.snapshot());
      testing::Answers answers;
      for (int i = 0; i < kEach; ++i) {
        auto request = std::make_unique<Request>(*submitter.Find("m", std::nullopt));
        const auto value = static_cast<float>(client * kEach + i);
        request->id = std::to_string(value);
        request->inputs[0] = Row(value);
        request->completion = &answers;
        Request* at = request.get();
        ASSERT_TRUE(submitter.Submit(request).ok());
        if (i % 4 == 0) submitter.Flush();
        if (i % 16 == 0) at->Cancel();
      }
      submitter.Flush();
      for (int i = 0; i < kEach; ++i) {
        const auto answer = answers.Next();
        if (answer->response.status.code() == Code::kCancelled) {
          ++cancelled;
          continue;
        }
        ASSERT_TRUE(answer->response.status.ok());
        const float value = FloatsOf(answer->response.outputs[0].tensor).at(0);
        ASSERT_EQ(std::to_string(value), answer->id);
        ++succeeded;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(succeeded + cancelled, 4 * kEach);
  const ModelCounts counts = server.Counts("m");
  EXPECT_EQ(counts.success.count, static_cast<uint64_t>(succeeded));
  EXPECT_EQ(counts.inference_count, static_cast<uint64_t>(succeeded));
  EXPECT_EQ(counts.fail.count, static_cast<uint64_t>(cancelled));
}

}  // namespace
}  // namespace despina
