#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using std::chrono::seconds;
using testing::Definition;
using testing::Executing;
using testing::Floats;
using testing::Identity;
using testing::Puppet;
using testing::Server;

ModelDefinition Version(int64_t version) {
  ModelDefinition definition = Definition("m", 8);
  definition.version = version;
  return definition;
}

class EngineTest : public ::testing::Test {
 protected:
  std::string Missing(std::string_view model, std::optional<int64_t> version) {
    const Result<ModelRef> found = server_.submitter.Find(model, version);
    EXPECT_FALSE(found.ok());
    EXPECT_EQ(found.status().code(), Code::kNotFound);
    return found.status().message();
  }
  Engine& engine() { return server_.engine; }
  std::shared_ptr<Model> Loaded(int64_t version) {
    Result<std::shared_ptr<Model>> model = engine().Load(Version(version), Executing(Identity));
    EXPECT_TRUE(model.ok()) << model.status().message();
    return *std::move(model);
  }
  // Nothing but this model takes requests.
  void Publish(const std::shared_ptr<Model>& model) {
    ASSERT_TRUE(engine().Publish({.index = {}, .serving = {model}}).ok());
  }

  ManualClock clock_;
  Server server_{clock_};
};

TEST_F(EngineTest, ServesTheHighestVersionUnlessOneIsAskedFor) {
  ASSERT_TRUE(server_.Serve(Version(2), Executing(Identity)).ok());
  ASSERT_TRUE(server_.Serve(Version(10), Executing(Identity)).ok());
  ASSERT_TRUE(server_.Serve(Version(9), Executing(Identity)).ok());
  EXPECT_EQ((*server_.submitter.Find("m", std::nullopt))->definition().version, 10);
  EXPECT_EQ((*server_.submitter.Find("m", 2))->definition().version, 2);
  EXPECT_EQ(engine().inflight(), 0u);
}

TEST_F(EngineTest, SaysInTheProtocolsWordsWhatIsNotThere) {
  ASSERT_TRUE(server_.Serve(Version(1), Executing(Identity)).ok());
  ASSERT_TRUE(
      engine()
          .Publish({.index = {{.name = "failed", .state = "UNAVAILABLE"}, {.name = "never"}},
                    .serving = server_.serving,
                    .ready = true})
          .ok());
  EXPECT_EQ(Missing("never", std::nullopt), "Request for unknown model: 'never' is not found");
  EXPECT_EQ(Missing("x", std::nullopt), "Request for unknown model: 'x' is not found");
  EXPECT_EQ(Missing("x", 3), "Request for unknown model: 'x' is not found");
  EXPECT_EQ(Missing("m", 7), "Request for unknown model: 'm' version 7 is not found");
  EXPECT_EQ(Missing("failed", std::nullopt),
            "Request for unknown model: 'failed' has no available versions");
  EXPECT_EQ(Missing("failed", 1), "Request for unknown model: 'failed' has no available versions");
}

TEST_F(EngineTest, SaysWithNamespacesThatANameIsNotEnough) {
  ASSERT_TRUE(
      engine()
          .Publish({.index = {}, .serving = {}, .ambiguous = {{"m", 2}}, .namespaces = true})
          .ok());
  const Status unknown = server_.submitter.Find("x", std::nullopt).status();
  EXPECT_EQ(unknown.code(), Code::kInvalidArgument);
  EXPECT_EQ(unknown.message(), "Request for unknown model: 'x' is not found");
  const Status several = server_.submitter.Find("m", 1).status();
  EXPECT_EQ(several.code(), Code::kInvalidArgument);
  EXPECT_EQ(several.message(),
            "There are 2 identifiers of model 'm' in global map, model namespace must be provided "
            "to resolve ambiguity.");
}

TEST_F(EngineTest, KeepsCountingModelsThatShareAName) {
  const auto one = engine().Load(Version(1), Executing(Identity));
  const auto other = engine().Load(Version(1), Executing(Identity));
  ASSERT_TRUE(one.ok() && other.ok());
  ASSERT_TRUE(
      engine()
          .Publish(
              {.index = {}, .serving = {*one, *other}, .ambiguous = {{"m", 2}}, .namespaces = true})
          .ok());
  EXPECT_EQ(server_.submitter.Find("m", 1).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(server_.submitter.snapshot().serving, (std::vector{*one, *other}));
}

TEST_F(EngineTest, PublishesTheStateOfTheServer) {
  EXPECT_FALSE(server_.submitter.snapshot().ready);
  ASSERT_TRUE(
      engine()
          .Publish({.index = {{.name = "m", .state = "READY"}}, .serving = {}, .ready = true})
          .ok());
  EXPECT_TRUE(server_.submitter.snapshot().ready);
  EXPECT_TRUE(server_.submitter.snapshot().live);
  EXPECT_EQ(server_.submitter.snapshot().models.count("m"), 1u);
  EXPECT_EQ(server_.submitter.snapshot().index.size(), 1u);
}

TEST_F(EngineTest, PublishesOnlyWhatIsLoadedAndThenNothing) {
  ASSERT_TRUE(server_.Serve(Version(1), Executing(Identity)).ok());
  const std::shared_ptr<Model> gone = Loaded(2);
  ASSERT_TRUE(engine().Unload(gone, std::nullopt).ok());
  const Status status = engine().Publish({.index = {}, .serving = {gone}});
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "model 'm' version 2 is not loaded");
  EXPECT_TRUE(server_.submitter.Find("m", 1).ok());
}

TEST_F(EngineTest, AModelTakesRequestsOnlyOnceItIsPublished) {
  Loaded(1);
  EXPECT_EQ(Missing("m", std::nullopt), "Request for unknown model: 'm' is not found");
}

TEST_F(EngineTest, TakesNothingNewWhileItShutsDown) {
  ASSERT_TRUE(server_.Serve(Version(1), Executing(Identity)).ok());
  ASSERT_TRUE(engine().Publish({.index = {}, .serving = server_.serving, .exiting = true}).ok());
  const Result<ModelRef> refused = server_.submitter.Find("m", std::nullopt);
  EXPECT_EQ(refused.status().code(), Code::kUnavailable);
  EXPECT_EQ(refused.status().message(), "the server is shutting down");
}

TEST_F(EngineTest, UnloadWaitsForRequestsInFlight) {
  Puppet puppet;
  ASSERT_TRUE(server_.Serve(Version(1), puppet.Factory()).ok());
  server_.Send("m", Floats({1, 1}, {1}));
  puppet.Begun(1);
  EXPECT_EQ(engine().inflight(), 1u);
  ASSERT_TRUE(engine().Publish({}).ok());
  const Status late = engine().Unload(server_.serving[0], seconds(0));
  EXPECT_EQ(late.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(late.message(), "model 'm' version 1 still works on 1 requests");
  std::atomic<bool> given_up{false};
  std::thread mover([&] {
    while (!given_up) clock_.Advance(seconds(1));
  });
  EXPECT_EQ(engine().Unload(server_.serving[0], seconds(5)).code(), Code::kDeadlineExceeded);
  given_up = true;
  mover.join();

  std::thread unloading(
      [this] { EXPECT_TRUE(engine().Unload(server_.serving[0], Duration::max()).ok()); });
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  unloading.join();
  EXPECT_EQ(engine().Unload(server_.serving[0], std::nullopt).message(),
            "model 'm' version 1 is not loaded");
}

// The old one answers what it has, the new one takes what comes.
TEST_F(EngineTest, AVersionIsReplacedWhileItWorks) {
  Puppet puppet;
  ASSERT_TRUE(server_.Serve(Version(1), puppet.Factory()).ok());
  const std::shared_ptr<Model> old = server_.serving[0];
  server_.Send("m", Floats({1, 1}, {1}));
  puppet.Begun(1);
  const std::shared_ptr<Model> replacement = Loaded(1);
  Publish(replacement);
  std::thread unloading([&] { EXPECT_TRUE(engine().Unload(old, std::nullopt).ok()); });
  server_.Send("m", Floats({1, 1}, {2}));
  EXPECT_EQ(testing::FloatsOf(server_.answers.Next()->response.outputs[0].tensor)[0], 2);
  EXPECT_EQ(replacement->Counts().success.count, 1u);
  puppet.Allow(1);
  EXPECT_EQ(testing::FloatsOf(server_.answers.Next()->response.outputs[0].tensor)[0], 1);
  unloading.join();
}

TEST_F(EngineTest, UnloadsOfOneModelAtOneTimeAreHarmless) {
  for (int round = 0; round < 20; ++round) {
    const std::shared_ptr<Model> model = Loaded(1);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        const Status status = engine().Unload(model, std::nullopt);
        EXPECT_TRUE(status.ok() || status.code() == Code::kNotFound);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(engine().Unload(model, std::nullopt).code(), Code::kNotFound);
  }
}

// What takes the place of a model is found at any moment, be it another version or the same.
TEST_F(EngineTest, ReplacingAModelTurnsNobodyAway) {
  std::shared_ptr<Model> served = Loaded(1);
  Publish(served);
  std::atomic<bool> done{false};
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      Submitter submitter(engine().snapshot());
      while (!done) {
        const Result<ModelRef> found = submitter.Find("m", std::nullopt);
        ASSERT_TRUE(found.ok()) << found.status().message();
      }
    });
  }
  for (int64_t round = 2; round < 20; ++round) {
    const std::shared_ptr<Model> next = Loaded(round / 2);
    Publish(next);
    ASSERT_TRUE(engine().Unload(served, std::nullopt).ok());
    served = next;
  }
  done = true;
  for (std::thread& client : clients) client.join();
}

TEST_F(EngineTest, AModelThatIsLoadedWhenTheServerHasClosedIsStoppedAgain) {
  // Creates its instance only when it is told to.
  class SlowFactory final : public ExecutorFactory {
   public:
    SlowFactory(std::latch& begun, std::latch& go_on, std::shared_ptr<int> held)
        : begun_(begun), go_on_(go_on), held_(std::move(held)) {}
    Result<std::unique_ptr<Executor>> Create(const InstanceDefinition&) override {
      begun_.count_down();
      go_on_.wait();
      return std::unique_ptr<Executor>(
          std::make_unique<testing::FunctionExecutor>([held = held_](Batch&) {}));
    }

   private:
    std::latch& begun_;
    std::latch& go_on_;
    const std::shared_ptr<int> held_;
  };
  std::latch begun(1);
  std::latch go_on(1);
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> alive = held;
  auto factory = std::make_unique<SlowFactory>(begun, go_on, std::move(held));
  Status status;
  std::thread loading([&] { status = engine().Load(Version(1), std::move(factory)).status(); });
  begun.wait();
  engine().Close();
  go_on.count_down();
  loading.join();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.message(), "the server is shutting down");
  EXPECT_TRUE(alive.expired());
}

TEST_F(EngineTest, WaitsUntilNoRequestIsInside) {
  Puppet puppet;
  ASSERT_TRUE(server_.Serve(Version(1), puppet.Factory()).ok());
  EXPECT_TRUE(engine().WaitIdle(seconds(0)));
  server_.Send("m", Floats({1, 1}, {1}));
  EXPECT_FALSE(engine().WaitIdle(seconds(0)));
  std::thread waiter([this] { EXPECT_TRUE(engine().WaitIdle(Duration::max())); });
  puppet.Allow(1);
  server_.answers.Next();
  waiter.join();
}

TEST_F(EngineTest, CloseAnswersWhatIsInsideAndMayBeRepeated) {
  Puppet puppet;
  ASSERT_TRUE(server_.Serve(Definition("a", 8), puppet.Factory()).ok());
  // Its name is behind that of its member: the order of closing is not that of the names.
  ModelDefinition ensemble = Definition("e", 8);
  ensemble.instances.clear();
  ensemble.steps = {
      {.model = "a", .version = -1, .inputs = {{"IN", "IN"}}, .outputs = {{"OUT", "OUT"}}}};
  ASSERT_TRUE(server_.Serve(std::move(ensemble), nullptr).ok());
  server_.Send("e", Floats({1, 1}, {1}));
  puppet.Begun(1);
  std::thread closing([this] { engine().Close(); });
  while (!server_.submitter.snapshot().exiting) std::this_thread::yield();
  EXPECT_FALSE(server_.submitter.snapshot().live);
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  closing.join();
  EXPECT_EQ(server_.submitter.Find("a", std::nullopt).status().code(), Code::kUnavailable);
  engine().Close();
  EXPECT_EQ(engine().inflight(), 0u);
}

}  // namespace
}  // namespace despina
