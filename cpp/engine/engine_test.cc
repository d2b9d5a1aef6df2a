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
  ASSERT_TRUE(engine().Publish({.known = {"failed"}, .serving = {{"m", 1}}, .ready = true}).ok());
  EXPECT_EQ(Missing("x", std::nullopt), "Request for unknown model: 'x' is not found");
  EXPECT_EQ(Missing("x", 3), "Request for unknown model: 'x' is not found");
  EXPECT_EQ(Missing("m", 7), "Request for unknown model: 'm' version 7 is not found");
  EXPECT_EQ(Missing("failed", std::nullopt),
            "Request for unknown model: 'failed' has no available versions");
  EXPECT_EQ(Missing("failed", 1), "Request for unknown model: 'failed' has no available versions");
}

TEST_F(EngineTest, PublishesTheStateOfTheServer) {
  EXPECT_FALSE(server_.submitter.snapshot().ready);
  ASSERT_TRUE(engine().Publish({.known = {"m"}, .serving = {}, .ready = true}).ok());
  EXPECT_TRUE(server_.submitter.snapshot().ready);
  EXPECT_TRUE(server_.submitter.snapshot().live);
  EXPECT_EQ(server_.submitter.snapshot().models.count("m"), 1u);
}

TEST_F(EngineTest, PublishesOnlyWhatIsLoadedAndThenNothing) {
  ASSERT_TRUE(server_.Serve(Version(1), Executing(Identity)).ok());
  const Status status = engine().Publish({.known = {}, .serving = {{"m", 2}}});
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "model 'm' version 2 is not loaded");
  EXPECT_TRUE(server_.submitter.Find("m", 1).ok());
}

TEST_F(EngineTest, AModelTakesRequestsOnlyOnceItIsPublished) {
  ASSERT_TRUE(engine().Load(Version(1), Executing(Identity)).ok());
  EXPECT_EQ(Missing("m", std::nullopt), "Request for unknown model: 'm' is not found");
}

TEST_F(EngineTest, TakesNothingNewWhileItShutsDown) {
  ASSERT_TRUE(server_.Serve(Version(1), Executing(Identity)).ok());
  ASSERT_TRUE(engine().Publish({.known = {}, .serving = {{"m", 1}}, .exiting = true}).ok());
  const Result<ModelRef> refused = server_.submitter.Find("m", std::nullopt);
  EXPECT_EQ(refused.status().code(), Code::kUnavailable);
  EXPECT_EQ(refused.status().message(), "the server is shutting down");
}

TEST_F(EngineTest, LoadsAVersionOnce) {
  ASSERT_TRUE(engine().Load(Version(1), Executing(Identity)).ok());
  const Status again = engine().Load(Version(1), Executing(Identity));
  EXPECT_EQ(again.code(), Code::kAlreadyExists);
  EXPECT_EQ(again.message(), "model 'm' version 1 is loaded already");
}

TEST_F(EngineTest, OfLoadsAtOneTimeOneWins) {
  std::atomic<int> loaded{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const Status status = engine().Load(Version(1), Executing(Identity));
      if (status.ok()) ++loaded;
      EXPECT_TRUE(status.ok() || status.code() == Code::kAlreadyExists);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(loaded, 1);
}

TEST_F(EngineTest, UnloadWaitsForRequestsInFlight) {
  Puppet puppet;
  ASSERT_TRUE(server_.Serve(Version(1), puppet.Factory()).ok());
  server_.Send("m", Floats({1, 1}, {1}));
  puppet.Begun(1);
  EXPECT_EQ(engine().inflight(), 1u);
  ASSERT_TRUE(engine().Publish({}).ok());
  const Status late = engine().Unload({"m", 1}, seconds(0));
  EXPECT_EQ(late.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(late.message(), "model 'm' version 1 still works on 1 requests");
  std::atomic<bool> given_up{false};
  std::thread mover([&] {
    while (!given_up) clock_.Advance(seconds(1));
  });
  EXPECT_EQ(engine().Unload({"m", 1}, seconds(5)).code(), Code::kDeadlineExceeded);
  given_up = true;
  mover.join();

  std::thread unloading([this] { EXPECT_TRUE(engine().Unload({"m", 1}, Duration::max()).ok()); });
  puppet.Allow(1);
  EXPECT_TRUE(server_.answers.Next()->response.status.ok());
  unloading.join();
  EXPECT_EQ(engine().Unload({"m", 1}, std::nullopt).message(), "model 'm' version 1 is not loaded");
}

TEST_F(EngineTest, AnUnloadedVersionCanBeLoadedAgain) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(engine().Load(Version(1), Executing(Identity)).ok());
    ASSERT_TRUE(engine().Unload({"m", 1}, std::nullopt).ok());
  }
}

TEST_F(EngineTest, UnloadsOfOneModelAtOneTimeAreHarmless) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(engine().Load(Version(1), Executing(Identity)).ok());
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([this] {
        const Status status = engine().Unload({"m", 1}, std::nullopt);
        EXPECT_TRUE(status.ok() || status.code() == Code::kNotFound);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(engine().Unload({"m", 1}, std::nullopt).code(), Code::kNotFound);
  }
}

// A version that takes the place of another one is found at any moment.
TEST_F(EngineTest, ReplacingAVersionTurnsNobodyAway) {
  ASSERT_TRUE(engine().Load(Version(1), Executing(Identity)).ok());
  ASSERT_TRUE(engine().Publish({.known = {}, .serving = {{"m", 1}}}).ok());
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
  for (int64_t version = 2; version < 20; ++version) {
    ASSERT_TRUE(engine().Load(Version(version), Executing(Identity)).ok());
    ASSERT_TRUE(engine().Publish({.known = {}, .serving = {{"m", version}}}).ok());
    ASSERT_TRUE(engine().Unload({"m", version - 1}, std::nullopt).ok());
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
  std::thread loading([&] { status = engine().Load(Version(1), std::move(factory)); });
  begun.wait();
  engine().Close();
  go_on.count_down();
  loading.join();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.message(), "the server is shutting down");
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(engine().Unload({"m", 1}, std::nullopt).code(), Code::kNotFound);
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
