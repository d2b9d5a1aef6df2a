// What is counted of the responses of decoupled models.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "engine/testing.h"

namespace despina {
namespace {

using std::chrono::milliseconds;
using testing::Definition;
using testing::Executing;
using testing::Floats;

Tensor Row() { return Floats({1, 1}, {1}); }

class ResponseCountsTest : public ::testing::Test {
 protected:
  void Serve(std::function<void(Batch&)> execute) {
    ModelDefinition definition = Definition("m", 4);
    definition.decoupled = true;
    definition.measuring.first_response_bounds = {10, 20};
    ASSERT_TRUE(server_.Serve(std::move(definition), Executing(std::move(execute))).ok());
  }
  // A part that took so long until its first output, and from there until it was sent.
  void Send(Batch& batch, milliseconds infer, milliseconds output) {
    clock_.Advance(infer);
    ASSERT_TRUE(batch.AddOutput(0, 0, Row()).ok());
    clock_.Advance(output);
    ASSERT_TRUE(batch.Send(0).ok());
  }
  // After one request.
  ModelCounts Counted() {
    server_.Send("m", Row());
    server_.answers.Next();
    return server_.Counts("m");
  }
  std::vector<uint64_t> FirstResponses() {
    return server_.engine.snapshot().Get()->Find("m", std::nullopt)->first_responses()->buckets();
  }

  ManualClock clock_;
  testing::Server server_{clock_};
};

void ExpectCount(const DurationCount& counted, uint64_t count, milliseconds sum) {
  EXPECT_EQ(counted.count, count);
  EXPECT_EQ(counted.nanoseconds, static_cast<uint64_t>(Duration(sum).count()));
}

TEST_F(ResponseCountsTest, EachPartCountsInItsPlace) {
  Serve([this](Batch& batch) {
    Send(batch, milliseconds(15), milliseconds(1));
    Send(batch, milliseconds(4), milliseconds(2));
    batch.Complete(0, Ok());
  });
  const ModelCounts counts = Counted();
  // The end of an answer with parts is none of them.
  ASSERT_EQ(counts.responses.size(), 2u);
  ExpectCount(counts.responses[0].compute_infer, 1, milliseconds(15));
  ExpectCount(counts.responses[0].compute_output, 1, milliseconds(1));
  ExpectCount(counts.responses[0].success, 1, milliseconds(16));
  ExpectCount(counts.responses[1].success, 1, milliseconds(6));
  EXPECT_EQ(counts.success.count, 1u);
  EXPECT_EQ(FirstResponses(), (std::vector<uint64_t>{0, 1, 0}));
}

TEST_F(ResponseCountsTest, AnAnswerThatComesWholeIsOneResponse) {
  Serve([this](Batch& batch) {
    clock_.Advance(milliseconds(3));
    ASSERT_TRUE(batch.AddOutput(0, 0, Row()).ok());
    batch.Complete(0, Ok());
  });
  const ModelCounts counts = Counted();
  ASSERT_EQ(counts.responses.size(), 1u);
  ExpectCount(counts.responses[0].success, 1, milliseconds(3));
  EXPECT_EQ(FirstResponses(), (std::vector<uint64_t>{1, 0, 0}));
}

TEST_F(ResponseCountsTest, AnAnswerWithoutAnythingIsEmpty) {
  Serve([this](Batch& batch) {
    clock_.Advance(milliseconds(30));
    batch.Complete(0, Ok());
  });
  const ModelCounts counts = Counted();
  ASSERT_EQ(counts.responses.size(), 1u);
  ExpectCount(counts.responses[0].empty, 1, milliseconds(30));
  ExpectCount(counts.responses[0].success, 0, milliseconds(0));
  EXPECT_EQ(FirstResponses(), (std::vector<uint64_t>{0, 0, 1}));
}

TEST_F(ResponseCountsTest, AnErrorOrACancellationCountsWhereTheNextResponseWasDue) {
  int calls = 0;
  Serve([&](Batch& batch) {
    Send(batch, milliseconds(1), milliseconds(0));
    clock_.Advance(milliseconds(2));
    batch.Complete(0, Status(++calls == 1 ? Code::kInternal : Code::kCancelled, "ended"));
  });
  Counted();
  const ModelCounts counts = Counted();
  ASSERT_EQ(counts.responses.size(), 2u);
  ExpectCount(counts.responses[0].success, 2, milliseconds(2));
  ExpectCount(counts.responses[1].fail, 1, milliseconds(2));
  ExpectCount(counts.responses[1].cancel, 1, milliseconds(2));
}

TEST_F(ResponseCountsTest, DetachedRequestsCountAsWell) {
  Serve([this](Batch& batch) {
    DetachedRequest later = batch.Detach(0);
    clock_.Advance(milliseconds(5));
    ASSERT_TRUE(later.AddOutput(0, Row()).ok());
    clock_.Advance(milliseconds(1));
    ASSERT_TRUE(later.Send().ok());
    later.Complete(Ok());
  });
  const ModelCounts counts = Counted();
  ASSERT_EQ(counts.responses.size(), 1u);
  ExpectCount(counts.responses[0].compute_infer, 1, milliseconds(5));
  ExpectCount(counts.responses[0].success, 1, milliseconds(6));
}

TEST_F(ResponseCountsTest, PlacesAreBounded) {
  Serve([this](Batch& batch) {
    for (size_t i = 0; i < ModelStatistics::kMaxResponses + 5; ++i) {
      Send(batch, milliseconds(0), milliseconds(0));
    }
    batch.Complete(0, Ok());
  });
  const ModelCounts counts = Counted();
  ASSERT_EQ(counts.responses.size(), ModelStatistics::kMaxResponses);
  EXPECT_EQ(counts.responses.back().success.count, 6u);
}

}  // namespace
}  // namespace despina
