#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "memory/testing/shared_object.h"
#include "protocol/infer_response.h"
#include "protocol/infer_test_support.h"

namespace despina::protocol {
namespace {

// A region "r" of 100 bytes, in an object where it begins at byte 8.
class InferSharedTest : public InferTest {
 protected:
  InferSharedTest() { EXPECT_TRUE(regions_.Register({"r", object_.key(), 8, 100}).ok()); }

  static std::string Input(std::string_view members, std::string_view shape = "[4]") {
    return Concat(R"({"inputs":[{"name":"IN0","datatype":"INT8","shape":)", shape, ',', members,
                  "}]}");
  }
  static std::string Output(std::string_view parameters) {
    return Concat(R"({"inputs":[],"outputs":[{"name":"OUT0","parameters":)", parameters, "}]}");
  }
  // An answer of four bytes to a request for such an output.
  Result<EncodedResponse> Answer(std::string_view parameters) {
    Result<InferRequest> infer = Parse(Output(parameters), model_);
    if (!infer.ok()) return infer.status();
    Response response;
    response.outputs = {{0, {DataType::kInt8, {4}, SliceOf("abcd")}}};
    return EncodeInfer(*infer->request, response, infer->preferences, TestPool());
  }

  testing::SharedObject object_{200};
  TestModel model_{TwoOf(DataType::kInt8)};
};

TEST_F(InferSharedTest, AnInputComesFromARegion) {
  object_.Put("wxyz", 8 + 10);
  Result<InferRequest> infer =
      Parse(Input(R"("parameters":{"shared_memory_region":"r","shared_memory_offset":10,)"
                  R"("shared_memory_byte_size":4})"),
            model_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(infer->shared_bytes(), 4U);
  EXPECT_TRUE(infer->request->inputs[0]->data.empty()) << "it is read when that has been charged";
  ASSERT_TRUE(ReadSharedInputs(*infer, allocator_).ok());
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), "wxyz");
  // What its owner does to it now is of no consequence.
  object_.Put("----", 8 + 10);
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), "wxyz");
}

TEST_F(InferSharedTest, ARegionThatShrinksBetweenIsAnError) {
  Result<InferRequest> infer = Parse(
      Input(R"("parameters":{"shared_memory_region":"r","shared_memory_byte_size":100})", "[100]"),
      model_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  object_.Resize(50);
  EXPECT_EQ(ReadSharedInputs(*infer, allocator_).code(), Code::kInvalidArgument);
  ExhaustedAllocator exhausted;
  EXPECT_EQ(ReadSharedInputs(*infer, exhausted).code(), Code::kResourceExhausted);
}

TEST_F(InferSharedTest, WhatDoesNotNameAPlaceIsRefused) {
  const auto with = [](std::string_view parameters) {
    return Input(Concat(R"("parameters":)", parameters));
  };
  const std::string rule =
      "Input must set only one of the following fields: 'data', 'binary_data_size' in "
      "'parameters', 'shared_memory_region' in 'parameters'. But ";
  const std::vector<Refusal> refusals = {
      {with(R"({"shared_memory_region":"nope","shared_memory_byte_size":4})"),
       "Unable to find shared memory region: 'nope'", Code::kNotFound},
      {with(R"({"shared_memory_region":"r"})"), "Unable to parse 'shared_memory_byte_size'"},
      {with(R"({"shared_memory_region":7,"shared_memory_byte_size":4})"),
       "Unable to parse 'shared_memory_region': attempt to access JSON non-string as string"},
      {with(R"({"shared_memory_region":"r","shared_memory_byte_size":-1})"),
       "Unable to parse 'shared_memory_byte_size'"},
      {with(R"({"shared_memory_region":"r","shared_memory_byte_size":101})"),
       "Invalid offset + byte size for shared memory region: 'r'"},
      {with(R"({"shared_memory_region":"r","shared_memory_offset":98,)"
            R"("shared_memory_byte_size":4})"),
       "Invalid offset + byte size for shared memory region: 'r'"},
      {with(R"({"shared_memory_region":"r","shared_memory_offset":18446744073709551615,)"
            R"("shared_memory_byte_size":18446744073709551615})"),
       "Invalid offset for shared memory region: 'r'"},
      {with(R"({"shared_memory_offset":1})"),
       "Unable to parse 'shared_memory_offset': there is no 'shared_memory_region'"},
      {with(R"({"shared_memory_byte_size":1})"),
       "Unable to parse 'shared_memory_byte_size': there is no 'shared_memory_region'"},
      {Input(R"("data":[1,2,3,4],"parameters":{"shared_memory_region":"r",)"
             R"("shared_memory_byte_size":4})"),
       rule + "set 'data' 'shared_memory_region' for input 'IN0'"},
      {with(R"({"binary_data_size":4,"shared_memory_region":"r","shared_memory_byte_size":4})"),
       rule + "set 'binary_data_size' 'shared_memory_region' for input 'IN0'"},
      {Output(R"({"shared_memory_region":"r","shared_memory_byte_size":4,"classification":1})"),
       "Output can't set both 'shared_memory_region' and 'classification' for output 'OUT0'"},
      {Output(R"({"shared_memory_region":"r","shared_memory_byte_size":4,"binary_data":true})"),
       "Output can't set both 'shared_memory_region' and 'binary_data' for output 'OUT0'"},
  };
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model_);
}

TEST_F(InferSharedTest, AnOutputGoesToARegion) {
  const auto answer =
      Answer(R"({"shared_memory_region":"r","shared_memory_offset":96,"shared_memory_byte_size":4,)"
             R"("binary_data":false})");
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(TextOf(answer->json), R"({"model_name":"m","model_version":"1","outputs":)"
                                  R"([{"name":"OUT0","datatype":"INT8","shape":[4]}]})");
  EXPECT_TRUE(answer->tensors.empty());
  EXPECT_EQ(object_.Get(8 + 96, 4), "abcd");
}

TEST_F(InferSharedTest, AnOutputThatIsTooLargeIsNotWritten) {
  const auto answer = Answer(R"({"shared_memory_region":"r","shared_memory_byte_size":3})");
  EXPECT_EQ(answer.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(answer.status().message(),
            "shared memory size specified with the request for output 'OUT0' (3 bytes) should be "
            "at least 4 bytes to hold the results");
  EXPECT_EQ(object_.Get(8, 4), std::string(4, '\0'));
}

TEST_F(InferSharedTest, ARegionThatIsUnregisteredMeanwhileIsStillThere) {
  Result<InferRequest> infer =
      Parse(Output(R"({"shared_memory_region":"r","shared_memory_byte_size":4})"), model_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  bool free = false;
  regions_.Unregister("r", [&] { free = true; });
  Response response;
  response.outputs = {{0, {DataType::kInt8, {4}, SliceOf("abcd")}}};
  EXPECT_TRUE(EncodeInfer(*infer->request, response, infer->preferences, TestPool()).ok());
  EXPECT_EQ(object_.Get(8, 4), "abcd");
  EXPECT_FALSE(free);
  infer->preferences = {};
  EXPECT_TRUE(free);
}

}  // namespace
}  // namespace despina::protocol
