// The engine under random traffic on many threads: instances, clients, answers that come later,
// models that are reloaded, an ensemble. What has to hold whatever the order.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing.h"
#include "engine/testing/reference_model.h"

namespace despina {
namespace {

using testing::kEcho;
using testing::kOut;
using testing::PlusOne;
using testing::Random;

void YieldSometimes(uint64_t draw) {
  for (uint64_t times = draw % 4; times > 0; --times) std::this_thread::yield();
}

// What becomes of a request is written in its first number, so that its client knows, too.
enum class Fate { kAnswered, kFailed, kForgotten, kAnsweredLater, kFailedLater, kDropped };

Fate FateOf(int64_t number) {
  constexpr std::array kFates = {Fate::kFailed, Fate::kForgotten, Fate::kFailedLater,
                                 Fate::kDropped};
  const int64_t draw = number % 31;
  if (draw < 4) return kFates[static_cast<size_t>(draw)];
  return draw < 12 ? Fate::kAnsweredLater : Fate::kAnswered;
}

Code CodeOf(Fate fate) {
  switch (fate) {
    case Fate::kFailed:
    case Fate::kFailedLater:
      return Code::kInvalidArgument;
    case Fate::kForgotten:
    case Fate::kDropped:
      return Code::kInternal;
    default:
      return Code::kOk;
  }
}

int64_t NumberOf(const Request& request) {
  int64_t number = 0;
  std::memcpy(&number, request.inputs[0]->data.data(), sizeof number);
  return number;
}

// What the backend did for all versions of a model; any thread.
struct Done {
  std::atomic<uint64_t> executions{0};
  std::atomic<uint64_t> answered{0};
  std::atomic<uint64_t> rows{0};
  std::atomic<uint64_t> failed{0};

  void Count(Fate fate, uint64_t request_rows) {
    if (CodeOf(fate) != Code::kOk) {
      ++failed;
      return;
    }
    ++answered;
    rows += request_rows;
  }
};

// Runs the batches of all models, and answers what is detached on a thread of its own.
class Backend {
 public:
  ~Backend() {
    stopping_ = true;
    answering_.join();
  }

  std::unique_ptr<ExecutorFactory> Factory(Done& done) {
    return testing::Executing([this, &done](Batch& batch) { Execute(batch, done); });
  }

 private:
  void Execute(Batch& batch, Done& done) {
    ++done.executions;
    YieldSometimes(static_cast<uint64_t>(NumberOf(batch.request(0))));
    const Tensor out = PlusOne(**batch.Gather(kOut));
    const Tensor* echo = *batch.Gather(kEcho);
    EXPECT_TRUE(batch.Scatter(kOut, out).ok());
    EXPECT_TRUE(!echo || batch.Scatter(kEcho, *echo).ok());
    const bool batched = batch.definition().batching_axis();
    for (size_t i = 0; i < batch.size(); ++i) {
      const Request& request = batch.request(i);
      const Fate fate = FateOf(NumberOf(request));
      done.Count(fate, batched ? static_cast<uint64_t>(request.inputs[0]->shape[0]) : 1);
      switch (fate) {
        case Fate::kForgotten:
          break;
        case Fate::kAnswered:
        case Fate::kFailed:
          batch.Complete(i, Status(CodeOf(fate), "fated"));
          if (NumberOf(request) % 5 == 0) batch.Deliver();
          break;
        default:
          Keep(batch.Detach(i));
      }
    }
  }

  void Keep(DetachedRequest request) {
    std::lock_guard lock(mutex_);
    kept_.push_back(std::make_unique<DetachedRequest>(std::move(request)));
  }

  // One of those that have been kept for longest.
  std::unique_ptr<DetachedRequest> TakeOne(Random& random) {
    std::lock_guard lock(mutex_);
    if (kept_.empty()) return nullptr;
    const auto at =
        kept_.begin() + static_cast<ptrdiff_t>(random.Below(std::min<size_t>(kept_.size(), 8)));
    auto taken = std::move(*at);
    kept_.erase(at);
    return taken;
  }

  void AnswerWhatIsKept() {
    Random random(testing::Seed());
    while (!stopping_) {
      const auto taken = TakeOne(random);
      if (!taken) {
        std::this_thread::yield();
        continue;
      }
      YieldSometimes(random.Below(4));
      const Fate fate = FateOf(NumberOf(taken->request()));
      if (fate != Fate::kDropped) taken->Complete(Status(CodeOf(fate), "fated"));
    }
  }

  std::mutex mutex_;
  std::deque<std::unique_ptr<DetachedRequest>> kept_;  // guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::thread answering_{[this] { AnswerWhatIsKept(); }};
};

// One thread that asks, cancels, and looks at every answer.
class Client final : public Completion {
 public:
  // Answers of one model, by code.
  using Codes = std::map<Code, uint64_t>;

  Client(const Published<Snapshot>& snapshot, uint64_t seed, uint64_t first_id)
      : submitter_(snapshot), random_(seed), next_id_(first_id) {}

  void Run(uint64_t requests) {
    for (; requests > 0; --requests) {
      Ask(random_.OneOf<std::string_view>({"direct", "first", "second", "chain"}));
      if (random_.OneIn(3)) submitter_.Flush();
      if (random_.OneIn(8)) CancelOne();
      if (random_.OneIn(4)) Listen();
      YieldSometimes(random_.OneIn(16) ? 3 : 0);
      if (waiting_.size() == kMostWaiting) WaitUntilAtMost(kMostWaiting / 2);
    }
    WaitUntilAtMost(0);
  }
  Codes& answers(const std::string& model) { return answers_[model]; }

  void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override {
    std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(request));
  }

 private:
  static constexpr size_t kMostWaiting = 64;
  struct Sent {
    Request* request;
    bool cancelled = false;
  };

  void Ask(std::string_view model) {
    Result<ModelRef> found = submitter_.Find(model, std::nullopt);
    if (!found.ok()) {
      EXPECT_TRUE(model == "first" || model == "chain")
          << "only these are ever away: " << found.status().message();
      return;
    }
    auto request = std::make_unique<Request>(*std::move(found));
    const bool ensemble = request->model->definition().is_ensemble();
    const bool batched = request->model->definition().batching_axis();
    const uint64_t id = next_id_++;
    testing::Fill(*request, id, batched ? random_.Below(3) + 1 : 1, 1,
                  ensemble ? 0 : random_.Below(8) / 6);
    request->completion = this;
    waiting_[id] = {.request = request.get()};
    const Status submitted = submitter_.Submit(request);
    EXPECT_TRUE(submitted.ok()) << submitted.message();
  }

  // Its completion may have come: then it lies in the inbox.
  void CancelOne() {
    if (waiting_.empty()) return;
    Sent& sent =
        std::next(waiting_.begin(), static_cast<ptrdiff_t>(random_.Below(waiting_.size())))->second;
    sent.cancelled = true;
    sent.request->Cancel();
  }

  void WaitUntilAtMost(size_t count) {
    submitter_.Flush();
    const TimePoint patience = Later(Clock::System().Now(), std::chrono::minutes(1));
    for (Listen(); waiting_.size() > count; Listen()) {
      std::this_thread::yield();
      if (Clock::System().Now() < patience) continue;
      // They keep their models from ever being unloaded: there is no way out but this.
      std::cerr << waiting_.size() << " requests are never answered\n";
      std::abort();
    }
  }

  void Listen() {
    std::vector<std::unique_ptr<Request>> came;
    {
      std::lock_guard lock(mutex_);
      came.swap(inbox_);
    }
    for (const auto& each : came) Look(*each);
  }

  void Look(const Request& request) {
    const uint64_t id = std::stoull(request.id);
    const auto sent = waiting_.find(id);
    ASSERT_NE(sent, waiting_.end()) << "request " << id << " is answered again";
    ASSERT_EQ(sent->second.request, &request);
    const ModelDefinition& model = request.model->definition();
    const Status& status = request.response.status;
    const Fate fate = FateOf(NumberOf(request));
    Code right = CodeOf(fate);
    if (model.is_ensemble() && right == Code::kOk) right = CodeOf(FateOf(NumberOf(request) + 1));
    switch (status.code()) {
      case Code::kCancelled:
        EXPECT_TRUE(sent->second.cancelled) << "nobody cancelled request " << id;
        break;
      case Code::kUnavailable:
        EXPECT_EQ(model.name, "direct") << status.message();
        break;
      default:
        EXPECT_EQ(status.code(), right) << model.name << ": " << status.message();
    }
    EXPECT_EQ(testing::Complaint(request, model.is_ensemble() ? 2 : 1), "");
    if (model.batching.preserve_ordering) {
      EXPECT_GT(id, last_in_order_) << "answered before one that came earlier";
      last_in_order_ = id;
    }
    ++answers_[model.name][status.code()];
    waiting_.erase(sent);
  }

  Submitter submitter_;
  Random random_;
  uint64_t next_id_;
  uint64_t last_in_order_ = 0;
  std::map<uint64_t, Sent> waiting_;
  std::map<std::string, Codes> answers_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Request>> inbox_;  // guarded by mutex_
};

ModelDefinition Direct() {
  ModelDefinition direct = testing::NumbersAndTexts("direct", 0);
  testing::AddInstance(direct);
  direct.batching.max_queue_size = 8;
  return direct;
}

ModelDefinition First(int64_t version) {
  ModelDefinition first = testing::NumbersAndTexts("first", 8);
  first.version = version;
  testing::AddInstance(first);
  first.batching.dynamic = true;
  first.batching.preferred_rows = {4};
  first.batching.max_delay = std::chrono::microseconds(20);
  return first;
}

ModelDefinition Second() {
  ModelDefinition second = testing::NumbersAndTexts("second", 4);
  testing::AddInstance(second);
  testing::AddInstance(second);
  second.batching.dynamic = true;
  second.batching.preserve_ordering = true;
  return second;
}

// Of a version of "first".
ModelDefinition Chain(int64_t version) {
  ModelDefinition chain = testing::NumbersAndTexts("chain", 4);
  chain.version = version;
  chain.inputs.pop_back();
  chain.outputs.pop_back();
  chain.instances.clear();
  chain.steps = {{.model = "first", .inputs = {{"IN", "IN"}}, .outputs = {{"OUT", "MID"}}},
                 {.model = "second", .inputs = {{"IN", "MID"}}, .outputs = {{"OUT", "OUT"}}}};
  return chain;
}

uint64_t Failures(const ModelCounts& counts, FailureReason reason) {
  return counts.failures[static_cast<size_t>(reason)];
}

class RandomTrafficOnThreads : public ::testing::Test {
 protected:
  using Version = std::pair<std::string, int64_t>;

  void Load(ModelDefinition definition) {
    const Version version{definition.name, definition.version};
    std::unique_ptr<ExecutorFactory> factory;
    std::vector<std::shared_ptr<Model>> members;
    if (definition.is_ensemble()) {
      members = {models_[{"first", definition.version}], models_[{"second", 1}]};
    } else {
      factory = backend_.Factory(done_[definition.name]);
    }
    const auto loaded = engine_.Load(std::move(definition), std::move(factory), std::move(members));
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    models_[version] = *loaded;
  }
  // "first" and its chain in these versions, and the others. Keeps the models for their counts.
  void Publish(const std::vector<int64_t>& versions) {
    std::vector<std::shared_ptr<Model>> serving;
    for (const char* name : {"direct", "second"}) serving.push_back(models_[{name, 1}]);
    for (const int64_t version : versions) {
      for (const char* name : {"first", "chain"}) serving.push_back(models_[{name, version}]);
    }
    const Status published = engine_.Publish(
        {.index = {{.name = "first", .state = "READY"}, {.name = "chain", .state = "READY"}},
         .serving = serving});
    ASSERT_TRUE(published.ok()) << published.message();
  }
  // The new version comes before the old one goes, or the old one goes first.
  void Reload(int64_t old, bool gap) {
    if (gap) {
      Publish({});
      Unload(old);
    }
    Load(First(old + 1));
    Load(Chain(old + 1));
    if (!gap) Publish({old, old + 1});
    std::this_thread::yield();
    Publish({old + 1});
    if (!gap) Unload(old);
  }
  void Unload(int64_t version) {
    for (const char* name : {"chain", "first"}) {
      const Status unloaded = engine_.Unload(models_[{name, version}], std::nullopt);
      ASSERT_TRUE(unloaded.ok()) << unloaded.message();
    }
  }
  uint64_t Sum(std::string_view name, auto of) const {
    uint64_t sum = 0;
    for (const auto& [version, model] : models_) {
      if (version.first == name) sum += of(model->Counts());
    }
    return sum;
  }
  void ExpectCountsOfBackend(const std::string& name) {
    SCOPED_TRACE(name);
    const Done& done = done_[name];
    EXPECT_EQ(Sum(name, [](const auto& counts) { return counts.execution_count; }),
              done.executions);
    EXPECT_EQ(Sum(name, [](const auto& counts) { return counts.success.count; }), done.answered);
    EXPECT_EQ(Sum(name, [](const auto& counts) { return counts.inference_count; }), done.rows);
    EXPECT_EQ(
        Sum(name, [](const auto& counts) { return Failures(counts, FailureReason::kBackend); }),
        done.failed);
    EXPECT_EQ(Sum(name, [](const auto& counts) { return counts.pending; }), 0u);
    EXPECT_GT(done.answered, 0u);
  }
  // Of a model that nobody else asks.
  void ExpectCountsOfClients(const std::string& name) {
    SCOPED_TRACE(name);
    uint64_t all = 0;
    Client::Codes answers;
    for (const auto& client : clients_) {
      for (const auto& [code, count] : client->answers(name)) {
        answers[code] += count;
        all += count;
      }
    }
    EXPECT_EQ(Sum(name, [](const auto& counts) { return counts.success.count; }),
              answers[Code::kOk]);
    EXPECT_EQ(
        Sum(name, [](const auto& counts) { return Failures(counts, FailureReason::kCanceled); }),
        answers[Code::kCancelled]);
    EXPECT_EQ(Sum(name, [](const auto& counts) { return counts.fail.count; }),
              all - answers[Code::kOk]);
    EXPECT_GT(answers[Code::kOk], 0u);
  }

  Engine engine_{testing::Memory()};
  std::map<std::string, Done> done_;
  std::map<Version, std::shared_ptr<Model>> models_;
  std::vector<std::unique_ptr<Client>> clients_;
  Backend backend_;
};

TEST_F(RandomTrafficOnThreads, EverybodyIsAnsweredOnceAndEverythingAddsUp) {
  constexpr size_t kClients = 4;
  const uint64_t seed = testing::Seed();
  SCOPED_TRACE("DESPINA_TEST_SEED=" + std::to_string(seed));
  Load(Direct());
  Load(First(1));
  Load(Second());
  Load(Chain(1));
  Publish({1});
  std::atomic<size_t> at_work{kClients};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kClients; ++i) {
    clients_.push_back(std::make_unique<Client>(engine_.snapshot(), seed + i, (i + 1) * 1'000'000));
    threads.emplace_back([client = clients_.back().get(), &at_work] {
      client->Run(testing::Requests() / 5 / kClients);
      --at_work;
    });
  }
  for (int64_t version = 1; at_work > 0 && !HasFatalFailure(); ++version) {
    Reload(version, version % 8 == 0);
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(engine_.inflight(), 0u);
  engine_.Close();
  for (const char* name : {"direct", "first", "second"}) ExpectCountsOfBackend(name);
  for (const char* name : {"direct", "chain"}) ExpectCountsOfClients(name);
}

}  // namespace
}  // namespace despina
