// The engine under random traffic, step by step against a model of it that is obviously right.
// Nothing is left to threads or to time: the seed that a failure prints repeats it.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <latch>
#include <list>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing.h"
#include "engine/testing/reference_model.h"

namespace despina {
namespace {

using testing::Complaint;
using testing::Fill;
using testing::kEcho;
using testing::kOut;
using testing::PlusOne;
using testing::Random;
using testing::ReferenceModel;
using Asked = ReferenceModel::Asked;
using Doing = ReferenceModel::Doing;

ModelDefinition RandomDefinition(Random& random) {
  const auto max = random.OneOf<int64_t>({0, 1, 4, 8, 8, 8});
  ModelDefinition definition = testing::NumbersAndTexts("m", max);
  BatchingDefinition& batching = definition.batching;
  batching.dynamic = !random.OneIn(8);
  for (int64_t rows = max; rows > 0; --rows) {
    if (random.OneIn(4)) batching.preferred_rows.push_back(static_cast<uint32_t>(rows));
  }
  batching.max_delay = Duration(random.OneOf({0, 100, 5000}));
  batching.preserve_ordering = random.OneIn(2);
  batching.max_queue_size = random.OneOf<size_t>({1, 20, 200, 65536, 65536, 65536});
  return definition;
}

// Clients, time and backend of a model, which is a real one. All of it happens on the thread of the
// model's only instance: the engine calls when it is idle, when it holds a batch back and when it
// runs one, and each time the reference must be doing the same.
class Play final : public Clock, public Completion {
 public:
  Play(uint64_t seed, uint64_t requests)
      : seed_(seed),
        random_(seed),
        definition_(RandomDefinition(random_)),
        steadiness_(random_.OneOf<uint64_t>({1, 8, 40})),
        calm_(random_.OneOf<uint64_t>({2, 4, 8})),
        asked_(requests),
        reference_(definition_) {}

  // What went wrong. Then the engine is not to be trusted to come down: leave it where it is.
  std::string Run() {
    const auto loaded = engine_.Load(definition_, std::make_unique<Factory>(*this));
    if (!loaded.ok()) return loaded.status().message();
    if (!engine_.Publish({.index = {}, .serving = {*loaded}}).ok()) return "not published";
    published_.count_down();
    if (!ended_.try_acquire_for(std::chrono::minutes(2))) return Described("it hangs");
    return wrong_;
  }

  TimePoint Now() const override { return clock_.Now(); }
  void WaitUntil(std::condition_variable&, std::unique_lock<std::mutex>& lock,
                 TimePoint deadline) override {
    lock.unlock();
    HoldBack(deadline);
    lock.lock();
  }
  void OnComplete(std::unique_ptr<Request> request, Turn&) noexcept override {
    const uint64_t id = std::stoull(request->id);
    if (const std::string text = Complaint(*request); !text.empty()) Wrong(text, id);
    if (at_[id] != request.get()) Wrong("answered although nothing was asked", id);
    at_[id] = nullptr;
    answers_.push_back({id, request->response.status.code()});
  }

 private:
  class Instance final : public Executor {
   public:
    explicit Instance(Play& play) : play_(play) {}
    void Execute(Batch& batch) override { play_.Execute(batch); }
    void Cancelled(const Request& request) override { play_.told_ = &request; }
    void Idle() override { play_.Idle(); }

   private:
    Play& play_;
  };
  class Factory final : public ExecutorFactory {
   public:
    explicit Factory(Play& play) : play_(play) {}
    Result<std::unique_ptr<Executor>> Create(const InstanceDefinition&) override {
      return std::unique_ptr<Executor>(std::make_unique<Instance>(play_));
    }

   private:
    Play& play_;
  };
  struct Later {
    DetachedRequest request;
    Asked asked;
  };
  // What the backend does with a request of a batch.
  enum class Fate { kAnswered, kAnsweredAlone, kFailed, kStopped, kForgotten, kDetached };
  static constexpr uint64_t kFates = 6;
  struct Execution {
    Execution(Batch& of, std::vector<Asked> right)
        : batch(of), asked(std::move(right)), codes(asked.size(), Code::kInternal) {
      gone.resize(asked.size());
    }
    Batch& batch;
    const std::vector<Asked> asked;
    std::vector<Code> codes;  // INTERNAL for those whom the backend forgets
    std::vector<bool> gone;   // given back or detached
    bool any_success = false;
  };

  // Where the engine calls.
  void Idle();
  void HoldBack(TimePoint deadline);
  void Execute(Batch& batch);
  ReferenceModel::Next Follow(Doing doing);

  // The backend.
  void CheckBatch(const Execution& run);
  bool Scatter(Batch& batch, const Tensor& out, const Tensor* echo);
  void Settle(Execution& run, size_t i, Fate fate);
  void GiveBack(Execution& run, bool everything);
  void AnswerLater();

  // The clients.
  void Step();
  void Meanwhile();
  void Ask();
  void AskWrongly(std::unique_ptr<Request> request);
  void Flush();
  void CancelOne();

  void End();
  void Compare();
  std::string Described(const std::string& what) const;
  void Wrong(const std::string& what);
  void Wrong(const std::string& what, uint64_t id) {
    Wrong(what + ", request " + std::to_string(id));
  }

  const uint64_t seed_;
  Random random_;
  const ModelDefinition definition_;
  const uint64_t steadiness_;  // how many requests of one kind come one after the other
  const uint64_t calm_;        // how little happens while the engine is at work
  const uint64_t asked_;       // requests in all

  ManualClock clock_;
  ReferenceModel reference_;
  std::vector<Request*> at_;  // by id; null once answered
  std::vector<Asked> unflushed_;
  std::vector<ReferenceModel::Answer> answers_;
  std::list<Later> later_;
  uint32_t columns_ = 1;
  uint32_t extra_ = 0;
  const Request* told_ = nullptr;
  bool over_ = false;
  std::string wrong_;

  std::latch published_{1};
  std::binary_semaphore ended_{0};
  Engine engine_{testing::Memory(), *this};
  Submitter submitter_{engine_.snapshot()};
};

std::string Play::Described(const std::string& what) const {
  std::string text = what + " (DESPINA_TEST_SEED=" + std::to_string(seed_) +
                     " DESPINA_TEST_REQUESTS=" + std::to_string(asked_) + "; max_batch_size " +
                     std::to_string(definition_.max_batch_size) + ", dynamic " +
                     std::to_string(definition_.batching.dynamic) + ", preferred";
  for (const uint32_t rows : definition_.batching.preferred_rows) {
    text += ' ' + std::to_string(rows);
  }
  return text + ", delay " + std::to_string(definition_.batching.max_delay.count()) +
         " ns, ordered " + std::to_string(definition_.batching.preserve_ordering) + ", queue " +
         std::to_string(definition_.batching.max_queue_size) + ")";
}

// The thread goes no further.
void Play::Wrong(const std::string& what) {
  wrong_ = Described(what);
  ended_.release();
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

void Play::Compare() {
  const auto& right = reference_.answers();
  for (size_t i = 0; i < std::max(answers_.size(), right.size()); ++i) {
    if (i == answers_.size()) Wrong("not answered", right[i].id);
    if (i == right.size()) Wrong("answered too early", answers_[i].id);
    if (answers_[i].id != right[i].id) Wrong("answered out of turn", answers_[i].id);
    if (answers_[i].code != right[i].code) {
      Wrong("answered with " + std::string(CodeName(answers_[i].code)), answers_[i].id);
    }
  }
  answers_.clear();
  reference_.answers().clear();
}

ReferenceModel::Next Play::Follow(Doing doing) {
  ReferenceModel::Next next = reference_.TakeNext(Now());
  Compare();
  constexpr const char* kNames[] = {"is idle", "holds a batch back", "runs a batch"};
  if (next.doing != doing) {
    Wrong(std::string("the engine ") + kNames[static_cast<size_t>(doing)] +
          " where the reference " + kNames[static_cast<size_t>(next.doing)]);
  }
  return next;
}

void Play::Idle() {
  published_.wait();
  Follow(Doing::kIdling);
  if (over_) return;
  while (reference_.waiting() == 0) {
    if (at_.size() == asked_ && unflushed_.empty()) return End();
    Step();
  }
}

void Play::HoldBack(TimePoint deadline) {
  const ReferenceModel::Next next = Follow(Doing::kHoldingBack);
  if (next.until != deadline) Wrong("held back for another time");
  Meanwhile();
  if (at_.size() == asked_) Flush();
  if (random_.OneIn(2)) clock_.Advance(std::max(Duration::zero(), deadline - Now()));
}

void Play::End() {
  while (!later_.empty()) AnswerLater();
  for (size_t id = 0; id < at_.size(); ++id) {
    if (at_[id] != nullptr) Wrong("never answered", id);
  }
  const ModelCounts counts = engine_.snapshot().Get()->Find("m", std::nullopt)->Counts();
  const std::string right = testing::CountsText(reference_.Counts());
  const std::string text = testing::CountsText(counts);
  if (text != right) Wrong("the engine counts" + text + " but it was" + right);
  // Whatever the reference says: each request is counted once, and so is each row that was answered
  // in the batch that it ran in, beside those that failed in it.
  const uint64_t failures = std::accumulate(counts.failures.begin(), counts.failures.end(), 0UL);
  if (counts.success.count + failures != at_.size()) Wrong("the requests do not add up");
  uint64_t rows = 0;
  for (const auto& [size, batch] : counts.batches) rows += size * batch.compute_infer.count;
  if (rows < counts.inference_count) Wrong("the rows do not add up");
  if (engine_.inflight() != 0) Wrong("someone is still inside the gate");
  over_ = true;
  ended_.release();
}

void Play::CheckBatch(const Execution& run) {
  std::string runs;
  for (size_t i = 0; i < run.batch.size(); ++i) runs += run.batch.request(i).id + ' ';
  std::string right;
  uint32_t rows = 0;
  for (const Asked& each : run.asked) {
    right += std::to_string(each.id) + ' ';
    rows += each.rows;
  }
  if (runs != right) Wrong("the engine runs " + runs + "where the reference runs " + right);
  if (run.batch.rows() != rows) Wrong("the batch has other rows");
  for (size_t i = 0; i < run.asked.size(); ++i) {
    if (run.batch.request(i).cancelled() != reference_.cancelled(run.asked[i].id)) {
      Wrong("the backend does not see whether it is cancelled", run.asked[i].id);
    }
  }
}

void Play::Execute(Batch& batch) {
  Execution run(batch, Follow(Doing::kRunning).batch);
  CheckBatch(run);
  const TimePoint begun = Now();
  Meanwhile();
  const Tensor out = PlusOne(**batch.Gather(0));
  const Tensor* echo = *batch.Gather(1);
  std::vector<Fate> fates(batch.size());
  const bool smooth = random_.OneIn(2);
  for (Fate& each : fates) {
    each = smooth ? Fate::kAnswered : static_cast<Fate>(random_.Below(kFates));
  }
  for (size_t i = 0; i < fates.size(); ++i) {
    if (fates[i] != Fate::kAnswered && random_.OneIn(2)) Settle(run, i, fates[i]);
  }
  const bool scattered = Scatter(batch, out, echo);
  for (size_t i = 0; i < fates.size(); ++i) {
    if (batch.answered(i)) continue;
    Settle(run, i, !scattered && fates[i] == Fate::kAnswered ? Fate::kFailed : fates[i]);
  }
  GiveBack(run, true);
  reference_.EndExecution(batch.rows(), run.any_success, begun, Now());
}

// False: the backend made an output of the wrong shape, and nobody has got any of it.
bool Play::Scatter(Batch& batch, const Tensor& out, const Tensor* echo) {
  if (random_.OneIn(16)) {
    Tensor wrong = out;
    wrong.shape[0] += 1;
    if (batch.Scatter(kOut, wrong).ok()) Wrong("takes an output of a wrong shape");
    return false;
  }
  const bool taken = batch.Scatter(kOut, out).ok() && (!echo || batch.Scatter(kEcho, *echo).ok());
  if (!taken) Wrong("refuses an output");
  return true;
}

void Play::Settle(Execution& run, size_t i, Fate fate) {
  const Request& request = run.batch.request(i);
  if (fate == Fate::kForgotten) return;
  if (fate == Fate::kStopped && !request.cancelled()) fate = Fate::kAnsweredAlone;
  if (fate == Fate::kDetached) {
    later_.push_back({run.batch.Detach(i), run.asked[i]});
    run.gone[i] = run.any_success = true;
    return;
  }
  if (fate == Fate::kAnsweredAlone) {
    const bool taken =
        run.batch.AddOutput(i, kOut, PlusOne(*request.inputs[0])).ok() &&
        (!request.inputs[1] || run.batch.AddOutput(i, kEcho, *request.inputs[1]).ok());
    if (!taken) Wrong("refuses an output", run.asked[i].id);
  }
  run.codes[i] = fate == Fate::kFailed    ? Code::kInvalidArgument
                 : fate == Fate::kStopped ? Code::kCancelled
                                          : Code::kOk;
  run.any_success = run.any_success || run.codes[i] == Code::kOk;
  run.batch.Complete(i, Status(run.codes[i], "as the test says"));
  if (random_.OneIn(16)) {
    run.batch.Deliver();
    GiveBack(run, false);
    Meanwhile();
  }
}

// In the order of the batch: what is answered, and at the end what is left, too.
void Play::GiveBack(Execution& run, bool everything) {
  for (size_t i = 0; i < run.asked.size(); ++i) {
    if (run.gone[i] || !(everything || run.batch.answered(i))) continue;
    run.gone[i] = true;
    reference_.Finish(run.asked[i], run.codes[i], Now());
  }
  if (!everything) Compare();
}

void Play::AnswerLater() {
  if (later_.empty()) return;
  const auto at = std::next(later_.begin(), static_cast<ptrdiff_t>(random_.Below(later_.size())));
  const Asked asked = at->asked;
  DetachedRequest& detached = at->request;
  const auto& inputs = detached.request().inputs;
  Code code = Code::kInternal;
  const uint64_t fate = random_.Below(4);
  if (fate == 0) {
    Tensor wrong = PlusOne(*inputs[0]);
    wrong.shape[0] += 1;
    if (detached.AddOutput(kOut, wrong).ok()) Wrong("takes an output of a wrong shape", asked.id);
  } else if (fate == 1) {
    detached.Complete(InvalidArgument("as the test says"));
    code = Code::kInvalidArgument;
  } else {
    const bool taken = detached.AddOutput(kOut, PlusOne(*inputs[0])).ok() &&
                       (!inputs[1] || detached.AddOutput(kEcho, *inputs[1]).ok());
    if (!taken) Wrong("refuses an output", asked.id);
    detached.Complete(Ok());
    code = Code::kOk;
  }
  later_.erase(at);  // unanswered in the first case
  reference_.Finish(asked, code, Now());
  Compare();
}

void Play::Step() {
  switch (random_.Below(8)) {
    case 0:
      return clock_.Advance(Duration(random_.Below(200)));
    case 1:
      return CancelOne();
    case 2:
      return AnswerLater();
    case 3:
      return Flush();
    default:
      for (uint64_t more = random_.Below(random_.OneOf<uint64_t>({1, 4, 16})) + 1; more > 0;
           --more) {
        Ask();
      }
      if (!random_.OneIn(4)) Flush();
  }
}

void Play::Meanwhile() {
  while (random_.OneIn(calm_)) Step();
}

void Play::Ask() {
  if (at_.size() == asked_) return;
  auto request = std::make_unique<Request>(*submitter_.Find("m", std::nullopt));
  request->completion = this;
  if (random_.OneIn(64)) return AskWrongly(std::move(request));
  if (random_.OneIn(steadiness_)) {
    columns_ = static_cast<uint32_t>(random_.Below(2)) + 1;
    extra_ = static_cast<uint32_t>(random_.Below(3));
  }
  const auto most = static_cast<uint64_t>(std::clamp<int64_t>(definition_.max_batch_size, 1, 4));
  const Asked asked{.id = at_.size(),
                    .rows = static_cast<uint32_t>(random_.Below(most)) + 1,
                    .kind = columns_ * 3 + extra_,
                    .arrival = Now()};
  Fill(*request, asked.id, asked.rows, columns_, extra_);
  if (random_.OneIn(4)) request->requested_outputs = {random_.OneOf({kOut, kEcho})};
  at_.push_back(request.get());
  unflushed_.push_back(asked);
  if (!submitter_.Submit(request).ok()) Wrong("not taken", asked.id);
}

// What is refused stays with its maker, and the model never sees it.
void Play::AskWrongly(std::unique_ptr<Request> request) {
  if (random_.OneIn(2) && definition_.batching_axis()) {
    Fill(*request, 0, static_cast<uint64_t>(definition_.max_batch_size) + 1, 1, 0);
  }
  const Status refused = submitter_.Submit(request);
  if (refused.code() != Code::kInvalidArgument || !request) Wrong("not refused");
}

void Play::Flush() {
  reference_.Push(unflushed_, Now());
  unflushed_.clear();
  submitter_.Flush();
  Compare();
}

// Wherever it is by now; none of them twice.
void Play::CancelOne() {
  if (at_.empty()) return;
  const uint64_t id =
      at_.size() - 1 - random_.Below(std::min(at_.size(), random_.OneOf<size_t>({8, 500})));
  if (at_[id] == nullptr || reference_.cancelled(id)) return;
  const Request* request = at_[id];
  const bool running = reference_.Cancel(id, Now());
  told_ = nullptr;
  at_[id]->Cancel();
  Compare();
  if (told_ != (running ? request : nullptr)) Wrong("the executor is told otherwise", id);
}

TEST(RandomTraffic, OnOneThreadTheEngineDoesWhatTheReferenceDoes) {
  constexpr uint64_t kEach = 2000;  // of one model
  const uint64_t requests = testing::Requests();
  const uint64_t in_use = testing::Memory().statistics().bytes_in_use;
  uint64_t seed = testing::Seed();
  for (uint64_t done = 0; done < requests; done += kEach) {
    auto play = std::make_unique<Play>(seed++, std::min(kEach, requests - done));
    const std::string wrong = play->Run();
    if (!wrong.empty()) static_cast<void>(play.release());
    ASSERT_EQ(wrong, "");
  }
  EXPECT_EQ(testing::Memory().statistics().bytes_in_use, in_use);
}

}  // namespace
}  // namespace despina
