#include "engine/batch_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

void NotIdle() {}

class BatchSourceTest : public ::testing::Test {
 protected:
  BatchSourceTest() {
    definition_.batching.dynamic = true;
    definition_.inputs = {testing::Fp32("IN"), testing::Fp32("EXTRA")};
  }

  BatchSource& source() {
    if (!source_) source_ = std::make_unique<BatchSource>(definition_, clock_);
    return *source_;
  }
  // A row of so many elements; the second input only where it is asked for.
  static std::unique_ptr<Request> Row(std::string id, int64_t size = 1, bool extra = false) {
    auto request = std::make_unique<Request>(ModelRef());
    request->id = std::move(id);
    request->inputs.resize(2);
    request->inputs[0] = Tensor{.datatype = DataType::kFp32, .shape = {1, size}, .data = {}};
    if (extra) request->inputs[1] = request->inputs[0];
    return request;
  }
  void Arrive(std::unique_ptr<Request> request) {
    request->state.arrival = clock_.Now();
    RequestChain chain;
    chain.Append(std::move(request));
    EXPECT_TRUE(source().Push(std::move(chain)).refused.empty());
  }
  static std::string Ids(const RequestChain& chain) {
    std::string ids;
    for (const Request* each = chain.front(); each; each = RequestChain::Next(*each)) {
      ids += each->id;
    }
    return ids;
  }
  std::string TakeIds() {
    const auto batch = source().Take(NotIdle);
    return batch ? Ids(*batch) : "closed";
  }

  ManualClock clock_;
  ModelDefinition definition_ = testing::Definition("m", 4);
  std::unique_ptr<BatchSource> source_;
};

TEST_F(BatchSourceTest, WithoutDynamicBatchingEachRequestRunsAlone) {
  definition_.batching.dynamic = false;
  RequestChain chain;
  for (const char* id : {"a", "b", "c"}) chain.Append(Row(id));
  EXPECT_TRUE(source().Push(std::move(chain)).refused.empty());
  EXPECT_EQ(source().waiting(), 3u);
  EXPECT_EQ(TakeIds(), "a");
  EXPECT_EQ(TakeIds(), "b");
  EXPECT_EQ(TakeIds(), "c");
  EXPECT_EQ(source().waiting(), 0u);
}

TEST_F(BatchSourceTest, TakesWhatThereIsWithoutADelay) {
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) Arrive(Row(id));
  EXPECT_EQ(TakeIds(), "abcd");
  EXPECT_EQ(TakeIds(), "ef");
}

TEST_F(BatchSourceTest, DoesNotMixShapes) {
  for (const auto& [id, size] : {std::pair("a", 1), {"b", 1}, {"c", 2}, {"d", 2}, {"e", 1}}) {
    Arrive(Row(id, size));
  }
  EXPECT_EQ(TakeIds(), "ab");
  EXPECT_EQ(TakeIds(), "cd");
  EXPECT_EQ(TakeIds(), "e");
}

TEST_F(BatchSourceTest, DoesNotMixSetsOfInputs) {
  Arrive(Row("a"));
  Arrive(Row("b", 1, true));
  Arrive(Row("c", 1, true));
  Arrive(Row("d"));
  EXPECT_EQ(TakeIds(), "a");
  EXPECT_EQ(TakeIds(), "bc");
  EXPECT_EQ(TakeIds(), "d");
}

TEST_F(BatchSourceTest, GivesBackWhatItHasNoRoomFor) {
  definition_.batching.max_queue_size = 2;
  RequestChain chain;
  for (const char* id : {"a", "b", "c", "d"}) chain.Append(Row(id));
  const RequestChain refused = source().Push(std::move(chain)).refused;
  EXPECT_EQ(Ids(refused), "cd");
  EXPECT_FALSE(refused.front()->state.queued);
  EXPECT_EQ(TakeIds(), "ab");
  Arrive(Row("e"));
  EXPECT_EQ(TakeIds(), "e");
}

// One that has just taken a batch looks once more before it sleeps, and nobody is woken meanwhile:
// the other has to get its own all the same.
TEST_F(BatchSourceTest, BothOfTwoInstancesAreServedWhateverTheyDoWhenRequestsCome) {
  definition_.max_batch_size = 1;
  constexpr int kRounds = 5000;
  std::barrier both(3);
  std::vector<std::thread> instances;
  for (int i = 0; i < 2; ++i) {
    instances.emplace_back([&both, &source = source()] {
      // Neither goes on before the other has one too.
      while (source.Take(NotIdle)) both.arrive_and_wait();
    });
  }
  for (int i = 0; i < kRounds; ++i) {
    RequestChain chain;
    for (const char* id : {"a", "b"}) chain.Append(Row(id));
    EXPECT_TRUE(source().Push(std::move(chain)).refused.empty());
    both.arrive_and_wait();
  }
  source().Close();
  for (std::thread& instance : instances) instance.join();
}

TEST_F(BatchSourceTest, CloseServesTheRestAtOnceAndThenEnds) {
  definition_.batching.max_delay = std::chrono::hours(1);
  Arrive(Row("a"));
  source().Close();
  RequestChain late;
  late.Append(Row("b"));
  EXPECT_EQ(Ids(source().Push(std::move(late)).refused), "b");
  EXPECT_EQ(TakeIds(), "a");
  EXPECT_EQ(TakeIds(), "closed");
}

TEST_F(BatchSourceTest, CloseWakesThoseWhoWait) {
  definition_.batching.max_delay = std::chrono::hours(1);
  std::vector<std::thread> instances;
  std::atomic<int> batches{0};
  for (int i = 0; i < 3; ++i) {
    instances.emplace_back([&batches, &source = source()] {
      while (source.Take(NotIdle)) ++batches;
    });
  }
  Arrive(Row("a"));
  source().Close();
  for (std::thread& instance : instances) instance.join();
  EXPECT_EQ(batches, 1);
}

TEST_F(BatchSourceTest, RemovesOnlyWhatStillWaits) {
  Arrive(Row("a"));
  auto owned = Row("b");
  Request& b = *owned;
  Arrive(std::move(owned));
  Arrive(Row("c"));
  const std::unique_ptr<Request> removed = source().Remove(b);
  ASSERT_NE(removed, nullptr);
  EXPECT_EQ(removed->id, "b");
  EXPECT_EQ(source().Remove(*removed), nullptr);
  const auto batch = source().Take(NotIdle);
  EXPECT_EQ(Ids(*batch), "ac");
  EXPECT_EQ(source().Remove(const_cast<Request&>(*batch->front())), nullptr);
}

// Three wait although four are preferred; the clock decides when they go.
TEST_F(BatchSourceTest, HoldsBackForTheDelayAndThenRunsWhatThereIs) {
  definition_.batching.preferred_rows = {4};
  definition_.batching.max_delay = milliseconds(100);
  definition_.max_batch_size = 8;
  const TimePoint begin = clock_.Now();
  for (const char* id : {"a", "b", "c"}) Arrive(Row(id));
  std::string ids;
  TimePoint taken{};
  std::thread instance([&] {
    ids = TakeIds();
    taken = clock_.Now();
  });
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(source().waiting(), 3u);
    clock_.Advance(milliseconds(10));
  }
  instance.join();
  EXPECT_EQ(ids, "abc");
  EXPECT_EQ(taken - begin, milliseconds(100));
}

TEST_F(BatchSourceTest, AFullBatchEndsTheDelay) {
  definition_.batching.max_delay = std::chrono::hours(1);
  for (const char* id : {"a", "b", "c"}) Arrive(Row(id));
  std::string ids;
  std::thread instance([&] { ids = TakeIds(); });
  Arrive(Row("d"));
  instance.join();
  EXPECT_EQ(ids, "abcd");
}

// One of them waits with the clock, the other without: neither may miss its batch.
TEST_F(BatchSourceTest, TwoInstancesShareTheDelay) {
  definition_.batching.max_delay = milliseconds(5);
  for (int round = 0; round < 20; ++round) {
    source_ = std::make_unique<BatchSource>(definition_, clock_);
    std::vector<std::string> taken(2);
    std::vector<std::thread> instances;
    for (std::string& ids : taken) instances.emplace_back([&] { ids = TakeIds(); });
    Arrive(Row("a"));
    for (const char* id : {"b", "c", "d", "e"}) Arrive(Row(id));
    while (source().waiting() > 1) std::this_thread::yield();
    clock_.Advance(milliseconds(5));
    for (std::thread& instance : instances) instance.join();
    std::ranges::sort(taken);
    EXPECT_EQ(taken, (std::vector<std::string>{"abcd", "e"}));
  }
}

TEST_F(BatchSourceTest, CallsIdleBeforeItSleepsAndNotWhenThereIsSomethingToDo) {
  std::atomic<int> calls{0};
  std::string ids;
  std::thread instance([&, &source = source()] {
    const auto batch = source.Take([&calls] { ++calls; });
    ids = Ids(*batch);
  });
  while (calls == 0) std::this_thread::yield();
  Arrive(Row("a"));
  instance.join();
  EXPECT_EQ(ids, "a");
  Arrive(Row("b"));
  const int before = calls;
  EXPECT_TRUE(source().Take([&calls] { ++calls; }));
  EXPECT_EQ(calls, before);
}

// Every request is either taken once or removed, whoever wakes whom.
TEST_F(BatchSourceTest, LosesNothingUnderManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  definition_.batching.max_delay = microseconds(50);
  definition_.batching.preferred_rows = {2, 4};
  source_ = std::make_unique<BatchSource>(definition_, Clock::System());
  std::atomic<int> served{0};
  std::atomic<int> removed{0};
  std::mutex mutex;
  std::vector<RequestChain> kept;  // so that what is removed is still there
  std::vector<std::thread> instances;
  for (int i = 0; i < kThreads; ++i) {
    instances.emplace_back([&] {
      while (auto batch = source().Take(NotIdle)) {
        served += static_cast<int>(batch->size());
        std::lock_guard lock(mutex);
        kept.push_back(*std::move(batch));
      }
    });
  }
  std::vector<std::thread> clients;
  for (int i = 0; i < kThreads; ++i) {
    clients.emplace_back([&, i] {
      for (int n = 0; n < kEach; ++n) {
        auto request = Row("r", (n + i) % 3 + 1);
        request->state.arrival = Clock::System().Now();
        Request& at = *request;
        RequestChain chain;
        chain.Append(std::move(request));
        ASSERT_TRUE(source().Push(std::move(chain)).refused.empty());
        if (n % 7 == 0 && source().Remove(at)) ++removed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  while (source().waiting() > 0) std::this_thread::yield();
  source().Close();
  for (std::thread& instance : instances) instance.join();
  EXPECT_EQ(served + removed, kThreads * kEach);
}

}  // namespace
}  // namespace despina
