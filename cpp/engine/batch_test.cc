#include "engine/batch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using std::chrono::milliseconds;
using testing::Floats;
using testing::FloatsOf;
using testing::Fp32;
using testing::Memory;
using testing::Strings;
using testing::StringsOf;

class NoMemory final : public Allocator {
 public:
  Result<Buffer> Allocate(size_t) override { return Status(Code::kResourceExhausted, "none"); }
  AllocatorStatistics statistics() const override { return {}; }
};

class BatchTest : public ::testing::Test, public ExecutionSink {
 protected:
  void Finish(std::unique_ptr<Request> request, TimePoint, Turn&) override {
    finished_.push_back(std::move(request));
  }
  void CountResponse(Request&, ResponseOutcome, TimePoint) override {}
  void CountExecution(uint32_t rows, const ExecutionTimes& times, bool any_success,
                      TimePoint) override {
    EXPECT_FALSE(counted_);
    counted_ = {rows, times, any_success};
  }

  static std::unique_ptr<Request> Holding(std::optional<Tensor> input) {
    auto request = std::make_unique<Request>(ModelRef());
    request->inputs.resize(1);
    if (input && input->shape.rank() > 0) {
      request->state.rows = static_cast<uint32_t>(input->shape[0]);
    }
    request->inputs[0] = std::move(input);
    return request;
  }
  // Rows {1}, {2, 3} and {4}.
  static RequestChain Three() {
    RequestChain chain;
    chain.Append(Holding(Floats({1, 1}, {1})));
    chain.Append(Holding(Floats({2, 1}, {2, 3})));
    chain.Append(Holding(Floats({1, 1}, {4})));
    return chain;
  }
  static RequestChain One(std::optional<Tensor> input) {
    RequestChain chain;
    chain.Append(Holding(std::move(input)));
    return chain;
  }
  std::unique_ptr<Batch> Begin(RequestChain requests) {
    return std::make_unique<Batch>(std::move(requests), definition_, *this, Memory(), clock_);
  }
  const Response& Answer(size_t i) { return finished_.at(i)->response; }

  struct Counted {
    uint32_t rows;
    ExecutionTimes times;
    bool any_success;
  };
  ManualClock clock_;
  ModelDefinition definition_ = testing::Definition("m", 8);
  std::vector<std::unique_ptr<Request>> finished_;
  std::optional<Counted> counted_;
};

TEST_F(BatchTest, OneAlignedRequestIsNotCopied) {
  RequestChain chain = One(Floats({2, 1}, {1, 2}));
  const std::byte* sent = chain.front()->inputs[0]->data.data();
  const auto batch = Begin(std::move(chain));
  const Result<const Tensor*> input = batch->Gather(0);
  ASSERT_TRUE(input.ok());
  EXPECT_EQ((*input)->data.data(), sent);
  EXPECT_EQ(*batch->Gather(0), *input);
}

TEST_F(BatchTest, OneRequestThatIsNotAlignedIsCopied) {
  const Tensor whole = Floats({3, 1}, {1, 2, 3});
  const auto batch = Begin(One(Tensor{DataType::kFp32, {2, 1}, whole.data.Part(4, 8)}));
  const Tensor& gathered = **batch->Gather(0);
  EXPECT_TRUE(gathered.data.aligned());
  EXPECT_EQ(FloatsOf(gathered), (std::vector<float>{2, 3}));
}

TEST_F(BatchTest, StringsNeedNoAlignment) {
  const Tensor text = Strings({2, 1}, {"a", "b"});
  const auto strings = Begin(One(Tensor{DataType::kBytes, {1, 1}, text.data.Part(5, 5)}));
  EXPECT_EQ((*strings->Gather(0))->data.data(), text.data.data() + 5);
}

TEST_F(BatchTest, ManyRequestsAreGatheredOnce) {
  const auto batch = Begin(Three());
  EXPECT_EQ(batch->size(), 3u);
  EXPECT_EQ(batch->rows(), 4u);
  const Tensor* gathered = *batch->Gather(0);
  EXPECT_EQ(gathered->shape, (Shape{4, 1}));
  EXPECT_EQ(FloatsOf(*gathered), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(*batch->Gather(0), gathered);
}

TEST_F(BatchTest, InputsThatAreLeftOutAreNull) {
  const auto batch = Begin(One(std::nullopt));
  const Result<const Tensor*> input = batch->Gather(0);
  ASSERT_TRUE(input.ok());
  EXPECT_EQ(*input, nullptr);
}

TEST_F(BatchTest, GatherSaysWhatIsWrong) {
  const auto batch = Begin(Three());
  EXPECT_EQ(batch->Gather(1).status().message(), "model 'm' has no input 1");
  batch->Complete(0, Ok());
  batch->Deliver();
  EXPECT_EQ(batch->Gather(0).status().message(),
            "inputs are gathered before requests are delivered");
}

TEST_F(BatchTest, GatherSaysWhenThereIsNoMemory) {
  NoMemory none;
  Batch batch(Three(), definition_, *this, none, clock_);
  EXPECT_EQ(batch.Gather(0).status().code(), Code::kResourceExhausted);
}

TEST_F(BatchTest, ScatterGivesEachItsRows) {
  auto batch = Begin(Three());
  ASSERT_TRUE(batch->Scatter(0, Floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8})).ok());
  batch->CompleteUnanswered(Ok());
  batch.reset();
  ASSERT_EQ(finished_.size(), 3u);
  EXPECT_EQ(Answer(1).outputs[0].tensor.shape, (Shape{2, 2}));
  EXPECT_EQ(FloatsOf(Answer(0).outputs[0].tensor), (std::vector<float>{1, 2}));
  EXPECT_EQ(FloatsOf(Answer(1).outputs[0].tensor), (std::vector<float>{3, 4, 5, 6}));
  EXPECT_EQ(FloatsOf(Answer(2).outputs[0].tensor), (std::vector<float>{7, 8}));
}

TEST_F(BatchTest, ScatterSplitsStringsAndTensorsWithoutElements) {
  definition_.outputs.push_back(Fp32("EMPTY"));
  definition_.outputs[0].datatype = DataType::kBytes;
  auto batch = Begin(Three());
  ASSERT_TRUE(batch->Scatter(0, Strings({4, 1}, {"a", "bb", "", "d"})).ok());
  ASSERT_TRUE(batch->Scatter(1, Floats({4, 0}, {})).ok());
  batch->CompleteUnanswered(Ok());
  batch.reset();
  EXPECT_EQ(StringsOf(Answer(1).outputs[0].tensor), (std::vector<std::string>{"bb", ""}));
  EXPECT_EQ(StringsOf(Answer(2).outputs[0].tensor), (std::vector<std::string>{"d"}));
  EXPECT_EQ(Answer(1).outputs[1].tensor.shape, (Shape{2, 0}));
}

TEST_F(BatchTest, ScatterRefusesWrongShapesAndChangesNothing) {
  auto batch = Begin(Three());
  const Status wrong = batch->Scatter(0, Floats({3, 1}, {1, 2, 3}));
  EXPECT_EQ(wrong.code(), Code::kInternal);
  EXPECT_EQ(wrong.message(), "output 'OUT' of model 'm' has shape [3,1], but the batch has 4 rows");
  EXPECT_EQ(batch->Scatter(1, Floats({4, 1}, {})).message(), "model 'm' has no output 1");
  batch->CompleteUnanswered(Ok());
  batch.reset();
  EXPECT_TRUE(Answer(0).outputs.empty());
}

TEST_F(BatchTest, OutputsComeInTheOrderOfTheDefinitionAndOnlyTheWantedOnes) {
  definition_.outputs = {Fp32("A"), Fp32("B"), Fp32("C")};
  RequestChain chain = Three();
  chain.front()->requested_outputs = {2, 0};
  auto batch = Begin(std::move(chain));
  for (const uint32_t output : {2u, 1u, 0u}) {
    ASSERT_TRUE(batch->Scatter(output, Floats({4, 1}, {0, 0, 0, 0})).ok());
  }
  ASSERT_TRUE(batch->AddOutput(1, 1, Floats({2, 1}, {8, 9})).ok());
  batch->CompleteUnanswered(Ok());
  batch.reset();
  const auto indices = [this](size_t i) {
    std::vector<uint32_t> all;
    for (const OutputTensor& each : Answer(i).outputs) all.push_back(each.index);
    return all;
  };
  EXPECT_EQ(indices(0), (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(indices(1), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(FloatsOf(Answer(1).outputs[1].tensor), (std::vector<float>{8, 9}));
}

TEST_F(BatchTest, OutputsOfOneRequestAreCheckedAndReshapedForTheClient) {
  definition_.outputs[0] = Fp32("OUT", {4});
  definition_.outputs[0].reshape = Shape{2, 2};
  auto batch = Begin(One(Floats({1, 1}, {1})));
  EXPECT_EQ(batch->AddOutput(0, 0, Floats({1, 4}, {1, 2, 3, 4})).message(),
            "output 'OUT' of model 'm' has shape [1,4], the configuration says [-1,2,2]");
  EXPECT_EQ(batch->AddOutput(0, 1, Floats({1, 4}, {})).message(), "model 'm' has no output 1");
  ASSERT_TRUE(batch->AddOutput(0, 0, Floats({1, 2, 2}, {1, 2, 3, 4})).ok());
  batch->Complete(0, Ok());
  batch.reset();
  EXPECT_EQ(Answer(0).outputs[0].tensor.shape, (Shape{1, 4}));
}

TEST_F(BatchTest, AFailureGoesAloneAndWithoutOutputs) {
  auto batch = Begin(Three());
  ASSERT_TRUE(batch->Scatter(0, Floats({4, 1}, {1, 2, 3, 4})).ok());
  batch->Complete(1, InvalidArgument("bad picture"));
  EXPECT_TRUE(batch->answered(1));
  batch->CompleteUnanswered(Ok());
  batch.reset();
  EXPECT_TRUE(Answer(0).status.ok());
  EXPECT_EQ(Answer(1).status.message(), "bad picture");
  EXPECT_TRUE(Answer(1).outputs.empty());
  EXPECT_EQ(Answer(2).outputs.size(), 1u);
  EXPECT_TRUE(counted_->any_success);
}

TEST_F(BatchTest, WhatIsLeftUnansweredFails) {
  auto batch = Begin(Three());
  batch->Complete(0, Ok());
  batch.reset();
  ASSERT_EQ(finished_.size(), 3u);
  EXPECT_TRUE(Answer(0).status.ok());
  EXPECT_EQ(Answer(1).status.code(), Code::kInternal);
  EXPECT_EQ(Answer(2).status.message(), "model 'm' returned without answering the request");
}

TEST_F(BatchTest, DeliversEarlyWhatIsAnsweredAndTheRestLater) {
  auto batch = Begin(Three());
  batch->Complete(1, Ok());
  batch->Deliver();
  ASSERT_EQ(finished_.size(), 1u);
  EXPECT_EQ(finished_[0]->state.rows, 2u);
  // What is delivered gets no part of a later result.
  ASSERT_TRUE(batch->Scatter(0, Floats({4, 1}, {1, 2, 3, 4})).ok());
  batch->CompleteUnanswered(Ok());
  batch.reset();
  ASSERT_EQ(finished_.size(), 3u);
  EXPECT_EQ(FloatsOf(Answer(2).outputs[0].tensor), (std::vector<float>{4}));
}

TEST_F(BatchTest, ADetachedRequestIsAnsweredLater) {
  auto batch = Begin(Three());
  DetachedRequest detached = batch->Detach(1);
  EXPECT_TRUE(batch->answered(1));
  batch->CompleteUnanswered(Ok());
  batch.reset();
  EXPECT_EQ(finished_.size(), 2u);
  EXPECT_EQ(detached.request().state.rows, 2u);
  EXPECT_EQ(detached.AddOutput(0, Floats({1, 1}, {1})).message(),
            "output 'OUT' of model 'm' has shape [1,1], but the batch has 2 rows");
  ASSERT_TRUE(detached.AddOutput(0, Floats({2, 1}, {5, 6})).ok());
  clock_.Advance(milliseconds(7));
  detached.Complete(Ok());
  ASSERT_EQ(finished_.size(), 3u);
  EXPECT_EQ(FloatsOf(Answer(2).outputs[0].tensor), (std::vector<float>{5, 6}));
  EXPECT_EQ(finished_[2]->state.times.compute_infer, milliseconds(7));
}

TEST_F(BatchTest, ADetachedRequestThatIsDroppedFails) {
  auto batch = Begin(One(Floats({1, 1}, {1})));
  {
    DetachedRequest first = batch->Detach(0);
    const DetachedRequest moved = std::move(first);
    batch.reset();
    EXPECT_TRUE(finished_.empty());
  }
  ASSERT_EQ(finished_.size(), 1u);
  EXPECT_EQ(Answer(0).status.code(), Code::kInternal);
  EXPECT_EQ(Answer(0).status.message(), "the backend dropped the request without answering it");
}

// Keeps what is sent before the end.
class Parts final : public Completion {
 public:
  void OnComplete(std::unique_ptr<Request>, Turn&) noexcept override {}
  void OnPart(const Request&, Response&& part) noexcept override {
    parts.push_back(std::move(part));
  }

  std::vector<Response> parts;
};

TEST_F(BatchTest, AnAnswerOfADecoupledModelMayComeInParts) {
  definition_.decoupled = true;
  Parts parts;
  RequestChain chain = Three();
  chain.front()->completion = &parts;
  auto batch = Begin(std::move(chain));
  for (const float value : {5.0F, 6.0F}) {
    ASSERT_TRUE(batch->AddOutput(0, 0, Floats({1, 1}, {value})).ok());
    batch->AddParameter(0, {"part", static_cast<int64_t>(value)});
    ASSERT_TRUE(batch->Send(0).ok());
    EXPECT_FALSE(batch->answered(0));
  }
  DetachedRequest detached = batch->Detach(0);
  batch.reset();
  ASSERT_TRUE(detached.AddOutput(0, Floats({1, 1}, {7})).ok());
  ASSERT_TRUE(detached.Send().ok());
  detached.Complete(Ok());
  ASSERT_EQ(parts.parts.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(FloatsOf(parts.parts[i].outputs[0].tensor), (std::vector<float>{5.0F + i}));
    EXPECT_EQ(parts.parts[i].parameters.size(), i < 2 ? 1u : 0u);
  }
  EXPECT_TRUE(finished_.back()->response.outputs.empty());
}

TEST_F(BatchTest, AnAnswerOfAnyOtherModelComesWhole) {
  auto batch = Begin(One(Floats({1, 1}, {1})));
  ASSERT_TRUE(batch->AddOutput(0, 0, Floats({1, 1}, {5})).ok());
  const Status sent = batch->Send(0);
  EXPECT_EQ(sent.code(), Code::kFailedPrecondition);
  EXPECT_EQ(sent.message(),
            "model 'm' is not decoupled: a request has one answer, not several parts");
  batch->Complete(0, Ok());
  batch.reset();
  EXPECT_EQ(FloatsOf(Answer(0).outputs[0].tensor), (std::vector<float>{5}));
}

TEST_F(BatchTest, AnAnswerCanBeTakenBackUntilItIsSent) {
  auto batch = Begin(Three());
  for (const size_t i : {0, 1}) {
    ASSERT_TRUE(
        batch
            ->AddOutput(i, 0,
                        Floats({static_cast<int64_t>(i) + 1, 1}, std::vector<float>(i + 1, 5.0F)))
            .ok());
    batch->AddParameter(i, {"part", true});
  }
  batch->Withdraw(0);
  batch->Complete(0, Ok());
  DetachedRequest detached = batch->Detach(1);
  detached.Withdraw();
  detached.Complete(Ok());
  batch.reset();
  for (const size_t i : {0, 1}) {
    EXPECT_TRUE(finished_[i]->response.status.ok());
    EXPECT_TRUE(finished_[i]->response.outputs.empty());
    EXPECT_TRUE(finished_[i]->response.parameters.empty());
  }
}

TEST_F(BatchTest, TimesAreThoseOfTheClock) {
  clock_.Advance(milliseconds(10));
  auto chain = Three();
  chain.front()->state.arrival = TimePoint(milliseconds(4));
  auto batch = Begin(std::move(chain));
  clock_.Advance(milliseconds(5));
  batch->CompleteUnanswered(Ok());
  batch.reset();
  EXPECT_EQ(finished_[0]->state.times.queue, milliseconds(6));
  EXPECT_EQ(finished_[1]->state.times.queue, milliseconds(10));
  EXPECT_EQ(finished_[0]->state.times.compute_infer, milliseconds(5));
  ASSERT_TRUE(counted_);
  EXPECT_EQ(counted_->rows, 4u);
  EXPECT_EQ(counted_->times.compute_infer, milliseconds(5));
  EXPECT_TRUE(counted_->any_success);
}

TEST_F(BatchTest, MarksSplitTheTimeOfAllThatIsNotAnswered) {
  auto batch = Begin(Three());
  clock_.Advance(milliseconds(1));
  batch->Complete(0, Ok());
  batch->Deliver();
  batch->MarkUnanswered(ComputeMark::kStarts);
  clock_.Advance(milliseconds(2));
  batch->MarkUnanswered(ComputeMark::kEnds);
  batch->Mark(2, ComputeMark::kStarts);  // this one alone began later
  clock_.Advance(milliseconds(4));
  batch->CompleteUnanswered(Ok());
  batch.reset();
  const auto parts = [](const ExecutionTimes& times) {
    return std::vector<Duration>{times.compute_input, times.compute_infer, times.compute_output};
  };
  using Parts = std::vector<Duration>;
  EXPECT_EQ(parts(finished_[0]->state.times), (Parts{{}, milliseconds(1), {}}));
  EXPECT_EQ(parts(finished_[1]->state.times),
            (Parts{milliseconds(1), milliseconds(2), milliseconds(4)}));
  EXPECT_EQ(parts(finished_[2]->state.times), (Parts{milliseconds(3), {}, milliseconds(4)}));
  EXPECT_EQ(parts(counted_->times), (Parts{milliseconds(1), milliseconds(2), milliseconds(4)}));
}

TEST_F(BatchTest, MarksOfADetachedRequestCountFromTheStartOfItsExecution) {
  clock_.Advance(milliseconds(10));
  auto chain = One(Floats({1, 1}, {5}));
  chain.front()->state.arrival = TimePoint(milliseconds(7));
  auto batch = Begin(std::move(chain));
  clock_.Advance(milliseconds(1));
  DetachedRequest detached = batch->Detach(0);
  batch.reset();
  clock_.Advance(milliseconds(2));
  detached.Mark(ComputeMark::kStarts);
  clock_.Advance(milliseconds(4));
  detached.Mark(ComputeMark::kEnds);
  clock_.Advance(milliseconds(8));
  detached.Complete(Ok());
  const ExecutionTimes& times = finished_[0]->state.times;
  EXPECT_EQ(times.queue, milliseconds(3));
  EXPECT_EQ(times.compute_input, milliseconds(3));
  EXPECT_EQ(times.compute_infer, milliseconds(4));
  EXPECT_EQ(times.compute_output, milliseconds(8));
}

TEST_F(BatchTest, AnExecutionWithoutASuccessIsCountedAsSuch) {
  auto batch = Begin(Three());
  batch->CompleteUnanswered(Internal("broken"));
  batch.reset();
  EXPECT_FALSE(counted_->any_success);
}

}  // namespace
}  // namespace despina
