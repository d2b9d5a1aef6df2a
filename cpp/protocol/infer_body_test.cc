// Where JSON and binary tensors lie in a body, and what becomes of its memory.
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "protocol/infer_binary.h"
#include "protocol/infer_json.h"
#include "protocol/infer_test_support.h"

namespace despina::protocol {
namespace {

using InferBodyTest = InferTest;

std::string BinaryInput(std::string_view size) {
  return Concat(R"({"inputs":[{"name":"IN0","datatype":"UINT8","shape":[2],)",
                R"("parameters":{"binary_data_size":)", size, "}}]}");
}

TEST_F(InferBodyTest, TakesBinaryTensorsInTheOrderOfTheInputs) {
  TestModel model(TwoOf(DataType::kUint8));
  const Result<InferRequest> result = Parse(
      R"({"inputs":[
        {"name":"IN1","datatype":"UINT8","shape":[3],"parameters":{"binary_data_size":3}},
        {"name":"IN0","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]})",
      model, "abc" + StringsOf({"d"}));
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(TextOf(result->request->inputs[1]->data), "abc");
  EXPECT_EQ(TextOf(result->request->inputs[0]->data), StringsOf({"d"}));
}

TEST_F(InferBodyTest, MixesBinaryAndJsonInputs) {
  TestModel model(TwoOf(DataType::kUint8));
  const Result<InferRequest> result = Parse(
      R"({"inputs":[
        {"name":"IN1","datatype":"UINT8","shape":[1],"data":[7]},
        {"name":"IN0","datatype":"UINT8","shape":[2],"parameters":{"binary_data_size":2}}]})",
      model, "ab");
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(TextOf(result->request->inputs[0]->data), "ab");
  EXPECT_EQ(TextOf(result->request->inputs[1]->data), "\7");
}

TEST_F(InferBodyTest, RefusesBinaryDataOfAnotherSizeThanSaid) {
  TestModel model(TwoOf(DataType::kUint8));
  const Refusal refusals[] = {
      {BinaryInput("6"),
       "unexpected size for input 'IN0', expecting 4 additional bytes for model 'm'"},
      {BinaryInput("18446744073709551615"),
       "unexpected size for input 'IN0', expecting 1844674407"},
      {BinaryInput("1"), "unexpected additional input data for model 'm'"},
      {OneInput("UINT8", "[2]", "[1,2]"), "unexpected additional input data for model 'm'"},
  };
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model, "ab");
  ExpectRefused({BinaryInput("1"), "unexpected size for input 'IN0', expecting 1 additional"},
                model);
  EXPECT_EQ(allocator_.count(), 1U) << "only for the JSON input";
}

TEST_F(InferBodyTest, AcceptsATensorOfNoBytes) {
  TestModel model(TwoOf(DataType::kUint8));
  const Result<InferRequest> result = Parse(BinaryInput("0"), model);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_TRUE(result->request->inputs[0]->data.empty());
}

// All lengths of the JSON part modulo the alignment: where the front end puts the first tensor
// on a boundary it is a view; anywhere else it is a copy, and counted.
TEST_F(InferBodyTest, CopiesOnlyTensorsThatAreNotAligned) {
  TestModel model(TwoOf(DataType::kUint8));
  const uint64_t before = MisalignedCopies();
  for (size_t pad = 0; pad < kDataAlignment; ++pad) {
    const std::string json = BinaryInput("2") + std::string(pad, ' ');
    for (size_t shift = 0; shift < kDataAlignment; ++shift) {
      const Slice body = BodyOf(json, "ab", shift);
      const Result<InferRequest> result =
          ParseInfer(model.Enter(), body, json.size(), NoRegions(), allocator_);
      ASSERT_TRUE(result.ok()) << result.status().message();
      const Slice& data = result->request->inputs[0]->data;
      EXPECT_EQ(TextOf(data), "ab");
      EXPECT_TRUE(data.aligned());
      EXPECT_EQ(data.data() == body.data() + json.size(), shift == 0);
    }
  }
  EXPECT_EQ(MisalignedCopies() - before, kDataAlignment * (kDataAlignment - 1));
  EXPECT_EQ(allocator_.count(), kDataAlignment * (kDataAlignment - 1));
}

TEST_F(InferBodyTest, NeverCopiesBytesTensors) {
  TestModel model(TwoOf(DataType::kBytes));
  const std::string json = R"({"inputs":[{"name":"IN0","datatype":"BYTES","shape":[1],)"
                           R"("parameters":{"binary_data_size":7}}]})";
  const Slice body = BodyOf(json, StringsOf({"abc"}), 13);
  const Result<InferRequest> result =
      ParseInfer(model.Enter(), body, json.size(), NoRegions(), allocator_);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->request->inputs[0]->data.data(), body.data() + json.size());
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferBodyTest, KeepsTheBodyWhileARequestUsesIt) {
  TestModel model(TwoOf(DataType::kUint8));
  const std::string json = BinaryInput("2");
  Slice body = BodyOf(json, "ab");
  const Result<InferRequest> result =
      ParseInfer(model.Enter(), body, json.size(), NoRegions(), allocator_);
  ASSERT_TRUE(result.ok());
  body = {};
  const Slice other = BodyOf(std::string(json.size(), 'x'), "xx");
  EXPECT_EQ(TextOf(result->request->inputs[0]->data), "ab");
}

TEST_F(InferBodyTest, ParsesTextWithoutPaddingBehindIt) {
  TestModel model(TwoOf(DataType::kInt8));
  const std::string json = OneInput("INT8", "[2]", "[1,2]");
  Buffer buffer = *TestPool().Allocate(json.size());
  std::memcpy(buffer.writable().data(), json.data(), json.size());
  const Result<InferRequest> result =
      ParseInfer(model.Enter(), Slice(std::move(buffer)), std::nullopt, NoRegions(), allocator_);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(TextOf(result->request->inputs[0]->data), "\1\2");
}

TEST_F(InferBodyTest, ParsesLargeAndSmallDocumentsInTurn) {
  TestModel model(TwoOf(DataType::kInt8));
  for (const size_t count : {size_t{1}, size_t{3'000'000}, size_t{2}, size_t{500'000}}) {
    std::string data = "[1";
    for (size_t i = 1; i < count; ++i) data += ",1";
    const std::string json = OneInput("INT8", Concat('[', count, ']'), data + ']');
    const Result<InferRequest> result = Parse(json, model);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(TextOf(result->request->inputs[0]->data), std::string(count, '\1'));
  }
}

TEST_F(InferBodyTest, RefusesAJsonPartThatIsLongerThanTheBody) {
  TestModel model(TwoOf(DataType::kInt8));
  const Slice body = BodyOf("{}");
  for (const uint64_t size : {uint64_t{3}, std::numeric_limits<uint64_t>::max()}) {
    const Result<InferRequest> result =
        ParseInfer(model.Enter(), body, size, NoRegions(), allocator_);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().message(),
              Concat("inference header size should be in range (0, 2), got: ", size));
  }
}

TEST_F(InferBodyTest, SaysWhenThereIsNoMemory) {
  TestModel model(TwoOf(DataType::kInt8));
  ExhaustedAllocator exhausted;
  const Result<InferRequest> json = ParseInfer(
      model.Enter(), BodyOf(OneInput("INT8", "[1]", "[1]")), std::nullopt, NoRegions(), exhausted);
  ASSERT_FALSE(json.ok());
  EXPECT_EQ(json.status().code(), Code::kResourceExhausted);
  const std::string header = BinaryInput("2");
  const Result<InferRequest> binary =
      ParseInfer(model.Enter(), BodyOf(header, "ab", 1), header.size(), NoRegions(), exhausted);
  ASSERT_FALSE(binary.ok());
  EXPECT_EQ(binary.status().code(), Code::kResourceExhausted);
}

TEST_F(InferBodyTest, TakesABodyWithoutJsonAsTheOnlyInput) {
  TestModel model(DefinitionOf({TensorOf("IN0", DataType::kFp32, {2, -1})},
                               {TensorOf("OUT0", DataType::kFp32, {-1})}, 4));
  const std::string data = BytesOf<float>({1, 2, 3, 4});
  const Result<InferRequest> result =
      ParseInfer(model.Enter(), BodyOf("", data), 0, NoRegions(), allocator_);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->request->inputs[0]->shape, (Shape{1, 2, 2}));
  EXPECT_EQ(TextOf(result->request->inputs[0]->data), data);
  EXPECT_TRUE(result->preferences.binary_by_default);
  EXPECT_TRUE(result->preferences.listed.empty());
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferBodyTest, TakesAnEmptyBodyAsARawRequest) {
  TestModel one(DefinitionOf({TensorOf("IN0", DataType::kFp32, {-1})}, {}));
  const Result<InferRequest> empty =
      ParseInfer(one.Enter(), BodyOf(""), std::nullopt, NoRegions(), allocator_);
  ASSERT_TRUE(empty.ok()) << empty.status().message();
  EXPECT_EQ(empty->request->inputs[0]->shape, Shape{0});
  TestModel two(TwoOf(DataType::kFp32));
  const Result<InferRequest> refused =
      ParseInfer(two.Enter(), Slice(), std::nullopt, NoRegions(), allocator_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace despina::protocol
