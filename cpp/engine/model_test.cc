// What a model demands of a request (Model::Prepare), and the protocol's words for it.
#include "engine/model.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using testing::Bytes;
using testing::Floats;
using testing::Fp32;
using testing::Server;
using testing::Strings;

constexpr char kBatchNote[] =
    ". NOTE: the model's max_batch_size is greater than 0, so the first dimension of each input "
    "is the batch size and is not part of the configured dims";

class PrepareTest : public ::testing::Test {
 protected:
  PrepareTest() {
    definition_.inputs = {Fp32("IN0", {2}), Fp32("IN1", {-1})};
    definition_.outputs = {Fp32("OUT")};
  }

  // Serves definition_ and makes a request with these inputs, by index.
  std::unique_ptr<Request> With(InputTensors inputs) {
    if (server_.serving.empty()) {
      const Status served = server_.Serve(definition_, testing::Executing(testing::Identity));
      EXPECT_TRUE(served.ok()) << served.message();
    }
    auto request = server_.Make("m", std::nullopt);
    for (size_t i = 0; i < inputs.size(); ++i) request->inputs[i] = std::move(inputs[i]);
    return request;
  }
  std::string Refusal(InputTensors inputs) {
    auto request = With(std::move(inputs));
    const Status status = request->model->Prepare(*request);
    EXPECT_TRUE(status.ok() || status.code() == Code::kInvalidArgument);
    return status.message();
  }

  ManualClock clock_;
  ModelDefinition definition_ = testing::Definition("m", 8);
  Server server_{clock_};
};

TEST_F(PrepareTest, CountsTheRowsAndNotesTheTime) {
  clock_.Advance(Duration(77));
  auto request = With({Floats({3, 2}, {1, 2, 3, 4, 5, 6}), Floats({3, 1}, {1, 2, 3})});
  ASSERT_TRUE(request->model->Prepare(*request).ok());
  EXPECT_EQ(request->state.rows, 3u);
  EXPECT_EQ(request->state.arrival, clock_.Now());
  EXPECT_EQ(request->inputs[0]->shape, (Shape{3, 2}));
}

TEST_F(PrepareTest, WithoutABatchAxisARequestIsOneRow) {
  definition_.max_batch_size = 0;
  auto request = With({Floats({2}, {1, 2}), Floats({0}, {})});
  ASSERT_TRUE(request->model->Prepare(*request).ok());
  EXPECT_EQ(request->state.rows, 1u);
}

TEST_F(PrepareTest, MissingInputsAreNamed) {
  EXPECT_EQ(Refusal({}),
            "expected 2 inputs but got 0 inputs for model 'm'. Got input(s) [], but missing "
            "required input(s) ['IN0','IN1']. Please provide all required input(s).");
  EXPECT_EQ(Refusal({Floats({1, 2}, {1, 2})}),
            "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['IN0'], but missing "
            "required input(s) ['IN1']. Please provide all required input(s).");
}

TEST_F(PrepareTest, OptionalInputsMayBeLeftOut) {
  definition_.inputs[1].optional = true;
  EXPECT_EQ(Refusal({Floats({1, 2}, {1, 2})}), "");
  EXPECT_EQ(Refusal({std::nullopt, Floats({1, 1}, {1})}),
            "expected number of inputs between 1 and 2 but got 1 inputs for model 'm'. Got "
            "input(s) ['IN1'], but missing required input(s) ['IN0']. Please provide all required "
            "input(s).");
}

TEST_F(PrepareTest, DatatypeMustBeTheModels) {
  Tensor tensor = Floats({1, 2}, {1, 2});
  tensor.datatype = DataType::kInt32;
  EXPECT_EQ(Refusal({tensor, Floats({1, 1}, {1})}),
            "inference input 'IN0' data-type is 'INT32', but model 'm' expects 'FP32'");
}

TEST_F(PrepareTest, ShapeMustFitTheDims) {
  EXPECT_EQ(Refusal({Floats({1, 3}, {1, 2, 3}), Floats({1, 1}, {1})}),
            std::string("unexpected shape for input 'IN0' for model 'm'. Expected [-1,2], got "
                        "[1,3]") +
                kBatchNote);
  EXPECT_EQ(Refusal({Floats({}, {1}), Floats({1, 1}, {1})}),
            "input 'IN0' has no shape but model requires batch dimension for 'm'");
}

TEST_F(PrepareTest, ShapeMustFitTheDimsWithoutABatchAxisToo) {
  definition_.max_batch_size = 0;
  EXPECT_EQ(Refusal({Floats({1, 2}, {1, 2}), Floats({1}, {1})}),
            "unexpected shape for input 'IN0' for model 'm'. Expected [2], got [1,2].");
}

TEST_F(PrepareTest, BatchSizeHasBounds) {
  EXPECT_EQ(Refusal({Floats({9, 2}, std::vector<float>(18)), Floats({9, 1}, {})}),
            "inference request batch-size must be <= 8 for 'm'");
  EXPECT_EQ(Refusal({Floats({0, 2}, {}), Floats({0, 1}, {})}),
            "inference request batch-size must be >= 1 for 'm'");
  EXPECT_EQ(Refusal({Floats({8, 2}, std::vector<float>(16)), Floats({8, 0}, {})}), "");
}

TEST_F(PrepareTest, InputsMustAgreeInTheBatchSize) {
  EXPECT_EQ(Refusal({Floats({1, 2}, {1, 2}), Floats({2, 1}, {1, 2})}),
            "input 'IN1' batch size does not match other inputs for 'm'");
}

TEST_F(PrepareTest, DataMustBeWhatTheShapeSays) {
  EXPECT_EQ(Refusal({Floats({1, 2}, {1}), Floats({1, 1}, {1})}),
            "input byte size mismatch for input 'IN0' for model 'm'. Expected 8, got 4");
}

TEST_F(PrepareTest, ShapesThatOverflowAreRefused) {
  constexpr int64_t kLarge = int64_t{1} << 62;
  EXPECT_EQ(Refusal({Floats({1, 2}, {1, 2}), Floats({1, kLarge}, {})}),
            "input byte size mismatch for input 'IN1' for model 'm'. Expected more than memory "
            "holds, got 0");
  EXPECT_EQ(Refusal({Floats({8, 2}, std::vector<float>(16)), Floats({8, kLarge}, {})}),
            "shape [8,4611686018427387904] of input 'IN1' for model 'm' has too many elements");
}

TEST_F(PrepareTest, StringsMustBeAsManyAsTheShapeSaysAndWhole) {
  definition_.max_batch_size = 0;
  definition_.inputs = {Fp32("IN0")};
  definition_.inputs[0].datatype = DataType::kBytes;
  const auto cut = [](std::string_view data) {
    return Tensor{DataType::kBytes, Shape{2}, Bytes(data)};
  };
  EXPECT_EQ(Refusal({Strings({2}, {"a", "b"})}), "");
  EXPECT_EQ(Refusal({Strings({0}, {})}), "");
  EXPECT_EQ(Refusal({Strings({2}, {"a"})}),
            "expected 2 string elements for inference input 'IN0' for model 'm', got 1");
  EXPECT_EQ(Refusal({cut(std::string_view("\1\0\0\0a\1\0", 7))}),
            "incomplete string length indicator for inference input 'IN0' for model 'm', expecting "
            "4 bytes but only 2 bytes available");
  EXPECT_EQ(Refusal({cut(std::string_view("\1\0\0\0a\x64\0\0\0bc", 11))}),
            "incomplete string data for inference input 'IN0' for model 'm', expecting string of "
            "length 100 but only 2 bytes available");
}

TEST_F(PrepareTest, ReshapeGivesTheShapeThatTheBackendSees) {
  definition_.inputs[0].reshape = Shape{1, 2};
  definition_.inputs[1].reshape = Shape{-1, 1};
  auto request = With({Floats({3, 2}, {1, 2, 3, 4, 5, 6}), Floats({3, 4}, std::vector<float>(12))});
  ASSERT_TRUE(request->model->Prepare(*request).ok());
  EXPECT_EQ(request->inputs[0]->shape, (Shape{3, 1, 2}));
  EXPECT_EQ(request->inputs[1]->shape, (Shape{3, 4, 1}));
}

TEST_F(PrepareTest, AFailureChangesNothing) {
  definition_.inputs[0].reshape = Shape{1, 2};
  auto request = With({Floats({1, 2}, {1, 2}), Floats({1, 1}, {})});
  clock_.Advance(Duration(5));
  EXPECT_FALSE(request->model->Prepare(*request).ok());
  EXPECT_EQ(request->inputs[0]->shape, (Shape{1, 2}));
  EXPECT_EQ(request->state.arrival, TimePoint{});
  request->inputs[1] = Floats({1, 1}, {1});
  EXPECT_TRUE(request->model->Prepare(*request).ok());
}

TEST_F(PrepareTest, SubmitNamesTheRequestAndLeavesItWithTheCaller) {
  auto request = With({});
  const Status unnamed = server_.submitter.Submit(request);
  EXPECT_EQ(unnamed.message().rfind("[request id: <id_unknown>] expected 2 inputs", 0), 0u)
      << unnamed.message();
  request->id = "r7";
  EXPECT_EQ(server_.submitter.Submit(request).message().rfind("[request id: r7] expected", 0), 0u);
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(server_.answers.count(), 0u);
}

TEST_F(PrepareTest, RequestsWantAllOutputsUnlessTheyNameSome) {
  auto request = With({});
  EXPECT_TRUE(request->Wants(0));
  EXPECT_TRUE(request->Wants(3));
  request->requested_outputs = {3};
  EXPECT_FALSE(request->Wants(0));
  EXPECT_TRUE(request->Wants(3));
}

}  // namespace
}  // namespace despina
