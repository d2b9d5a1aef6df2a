#include "host/requests.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "engine/testing.h"
#include "host/host_api.h"
#include "memory/pool.h"

namespace despina::host {
namespace {

constexpr uint32_t kOut = 0;
constexpr uint32_t kOther = 1;
constexpr despina_datatype kFloat = {DESPINA_TYPE_FLOAT, 32, 1};

ModelDefinition TwoOutputs() {
  ModelDefinition definition = despina::testing::Definition("m", 8);
  definition.outputs.push_back(despina::testing::Fp32("OTHER"));
  return definition;
}

// What a backend may write stays its own; of the pool there is nothing but that.
class UnwantedOutputTest : public ::testing::Test, public ExecutionSink {
 protected:
  void Finish(std::unique_ptr<Request> request, TimePoint, Turn&) override {
    finished_.push_back(std::move(request));
  }
  void CountResponse(Request&, ResponseOutcome, TimePoint) override {}
  void CountExecution(uint32_t, const ExecutionTimes&, bool, TimePoint) override {}

  // A request for each of the outputs.
  despina_batch* Begin(std::initializer_list<uint32_t> wanted) {
    RequestChain chain;
    for (const uint32_t output : wanted) {
      auto request = std::make_unique<Request>(ModelRef());
      request->inputs.emplace_back(despina::testing::Floats({1, 1}, {1}));
      request->requested_outputs = {output};
      request->completion = &completion_;
      chain.Append(std::move(request));
    }
    batch_ = std::make_unique<Batch>(std::move(chain), definition_, *this, pool_, clock_);
    return requests_.Begin(*batch_);
  }
  void End() {
    requests_.End();
    batch_.reset();
  }
  // What the backend may write.
  const void* Allocate(despina_batch* batch, uint32_t output) {
    const std::array<int64_t, 2> shape = {static_cast<int64_t>(batch->batch->rows()), 1};
    despina_tensor memory{};
    despina_error error{};
    EXPECT_EQ(HostApi().batch_allocate(batch, output, kFloat, shape.data(), 2, &memory, &error),
              DESPINA_OK);
    return memory.data;
  }
  bool holds_memory() const { return pool_.statistics().bytes_in_use > 0; }

  struct Dropped final : Completion {
    void OnComplete(std::unique_ptr<Request>, Turn&) noexcept override {}
    void OnPart(const Request&, Response&&) noexcept override {}
  };
  ManualClock clock_;
  BufferPool pool_;
  Dropped completion_;
  ModelDefinition definition_ = TwoOutputs();
  std::vector<std::unique_ptr<Request>> finished_;
  std::unique_ptr<Batch> batch_;
  Requests requests_{DESPINA_ASYNC | DESPINA_STREAMING, "instance", definition_.inputs,
                     definition_.outputs};
};

TEST_F(UnwantedOutputTest, IsHeldUntilTheAnswer) {
  despina_batch* const batch = Begin({kOut});
  Allocate(batch, kOther);
  EXPECT_TRUE(holds_memory());
  requests_.Answer(*batch->handles[0], Ok());
  EXPECT_FALSE(holds_memory());
  End();
}

TEST_F(UnwantedOutputTest, IsHeldUntilTheEndWhereNothingIsAnswered) {
  Allocate(Begin({kOut}), kOther);
  EXPECT_TRUE(holds_memory());
  End();
  EXPECT_FALSE(holds_memory());
}

TEST_F(UnwantedOutputTest, IsHeldUntilADetachedRequestIsAnswered) {
  despina_batch* const batch = Begin({kOut});
  despina_request& request = *batch->handles[0];
  Allocate(batch, kOther);
  ASSERT_TRUE(requests_.Detach(request).ok());
  End();
  EXPECT_TRUE(holds_memory());
  EXPECT_TRUE(requests_.Complete(request, Ok()));
  EXPECT_FALSE(holds_memory());
}

TEST_F(UnwantedOutputTest, OutlivesTheAnswerToTheOneWhoWantsIt) {
  despina_batch* const batch = Begin({kOther, kOut});
  Allocate(batch, kOther);
  EXPECT_TRUE(requests_.Complete(*batch->handles[0], Ok()));
  finished_.clear();
  EXPECT_TRUE(holds_memory());
  requests_.Answer(*batch->handles[1], Ok());
  EXPECT_FALSE(holds_memory());
  End();
}

TEST_F(UnwantedOutputTest, OfAWantedOneTheAnswerHasTheMemoryThatWasAllocatedLast) {
  despina_batch* const batch = Begin({kOut});
  const void* const first = Allocate(batch, kOut);
  const void* const second = Allocate(batch, kOut);
  EXPECT_NE(first, second);
  EXPECT_TRUE(requests_.Complete(*batch->handles[0], Ok()));
  ASSERT_EQ(finished_.size(), 1U);
  ASSERT_EQ(finished_[0]->response.outputs.size(), 1U);
  EXPECT_EQ(finished_[0]->response.outputs[0].tensor.data.data(), second);
  finished_.clear();
  EXPECT_FALSE(holds_memory());
  End();
}

TEST_F(UnwantedOutputTest, OfABatchThatIsAnsweredIsHeldUntilItsEnd) {
  despina_batch* const batch = Begin({kOut});
  requests_.Answer(*batch->handles[0], Ok());
  Allocate(batch, kOther);
  EXPECT_TRUE(holds_memory());
  End();
  EXPECT_FALSE(holds_memory());
}

TEST_F(UnwantedOutputTest, GoesWithEachPartOfAStream) {
  definition_.decoupled = true;
  despina_batch* const batch = Begin({kOut});
  despina_error error{};
  for (int part = 0; part < 3; ++part) {
    Allocate(batch, kOther);
    EXPECT_TRUE(holds_memory());
    EXPECT_EQ(HostApi().batch_send(batch, &error), DESPINA_OK);
    EXPECT_FALSE(holds_memory());
  }
  End();
}

}  // namespace
}  // namespace despina::host
