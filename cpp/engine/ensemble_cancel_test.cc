#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "engine/testing/ensembles.h"

namespace despina {
namespace {

using testing::AddUp;
using testing::Chain;
using testing::Definition;
using testing::Ensemble;
using testing::Executing;
using testing::Fp32;
using testing::Puppet;
using testing::Step;

class EnsembleCancelTest : public testing::EnsembleFixture {};

TEST_F(EnsembleCancelTest, AfterACancellationNoFurtherStepIsBegun) {
  Puppet first(AddUp);
  Serve(Definition("a", 8), first.Factory());
  Serve(Definition("b", 8), Executing(AddUp));
  Serve(Chain("e", "a", "b"));
  Request* running = server_.Send("e", Row(0));
  first.Begun(1);
  running->Cancel();
  first.Allow(1);
  const auto answer = server_.answers.Next();
  EXPECT_EQ(answer->response.status.code(), Code::kCancelled);
  EXPECT_EQ(server_.Counts("b").success.count + server_.Counts("b").fail.count, 0u);
  EXPECT_EQ(server_.Counts("e").failures[static_cast<size_t>(FailureReason::kCanceled)], 1u);
}

TEST_F(EnsembleCancelTest, StepsOfACancelledRequestLeaveTheQueueAtOnce) {
  Puppet puppet(AddUp);
  Serve(Definition("a", 8), puppet.Factory());
  Serve(Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}})}));
  server_.Send("a", Row(0));
  puppet.Begun(1);
  server_.Send("e", Row(1))->Cancel();
  // While the one before it still runs.
  EXPECT_EQ(server_.answers.Next()->response.status.code(), Code::kCancelled);
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  EXPECT_EQ(server_.Counts("a").execution_count, 1u);
}

// Answers a request when it is told that nobody waits for it any more.
class DetachingExecutor final : public Executor {
 public:
  explicit DetachingExecutor(std::atomic<int>& begun) : begun_(begun) {}
  void Execute(Batch& batch) override {
    const std::lock_guard lock(mutex_);
    request_.emplace(batch.Detach(0));
    ++begun_;
  }
  void Cancelled(const Request&) override {
    const std::lock_guard lock(mutex_);
    if (!request_) return;
    request_->Complete(Status(Code::kCancelled, "heard it"));
    request_.reset();
  }

 private:
  std::atomic<int>& begun_;
  std::mutex mutex_;
  std::optional<DetachedRequest> request_;
};

class DetachingFactory final : public ExecutorFactory {
 public:
  explicit DetachingFactory(std::atomic<int>& begun) : begun_(begun) {}
  Result<std::unique_ptr<Executor>> Create(const InstanceDefinition&) override {
    return std::unique_ptr<Executor>(std::make_unique<DetachingExecutor>(begun_));
  }

 private:
  std::atomic<int>& begun_;
};

TEST_F(EnsembleCancelTest, EveryStepThatRunsIsToldOfTheCancellation) {
  std::atomic<int> begun{0};
  for (const char* name : {"a", "b"}) {
    Serve(Definition(name, 8), std::make_unique<DetachingFactory>(begun));
  }
  Serve(Ensemble("inner", {Step("b", {{"IN", "IN"}}, {{"OUT", "OUT"}})}));
  ModelDefinition outer = Ensemble("outer", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}}),
                                             Step("inner", {{"IN", "IN"}}, {{"OUT", "OTHER"}})});
  outer.outputs.push_back(Fp32("OTHER"));
  Serve(std::move(outer));
  Request* running = server_.Send("outer", Row(0));
  while (begun < 2) std::this_thread::yield();
  running->Cancel();
  const auto answer = server_.answers.Next();
  EXPECT_EQ(answer->response.status.code(), Code::kCancelled);
  EXPECT_NE(answer->response.status.message().find("heard it"), std::string::npos);
}

// As when a client goes in the round of the event loop that brought its request.
TEST_F(EnsembleCancelTest, ARequestThatIsCancelledBeforeItIsQueuedDoesNotWait) {
  Puppet puppet(AddUp);
  Serve(Definition("a", 8), puppet.Factory());
  Serve(Ensemble("e", {Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}})}));
  server_.Send("a", Row(0));
  puppet.Begun(1);
  for (const char* model : {"a", "e"}) {
    Request* request = server_.Add(server_.Make(model, Row(1)));
    request->Cancel();
    server_.submitter.Flush();
    EXPECT_EQ(server_.answers.Next()->response.status.code(), Code::kCancelled);
  }
  EXPECT_EQ(server_.Counts("a").failures[static_cast<size_t>(FailureReason::kCanceled)], 1u);
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
}

// As when a client goes while its steps end.
TEST_F(EnsembleCancelTest, ACancellationMeetsStepsThatEnd) {
  ModelDefinition member = Definition("a", 8);
  testing::AddInstance(member);
  Serve(std::move(member), Executing(AddUp));
  Serve(Chain("inner", "a", "a"));
  Serve(Chain("outer", "inner", "inner"));
  for (int i = 0; i < 500; ++i) {
    Request* request = server_.Send("outer", Row(10));
    for (int spin = 0; spin < i * 4; ++spin) std::atomic_signal_fence(std::memory_order_seq_cst);
    request->Cancel();
    const auto answer = server_.answers.Next();
    const Status& status = answer->response.status;
    if (status.ok()) {
      EXPECT_EQ(Out(*answer), (std::vector<float>{14}));
    } else {
      EXPECT_EQ(status.code(), Code::kCancelled) << status.message();
    }
  }
}

}  // namespace
}  // namespace despina
