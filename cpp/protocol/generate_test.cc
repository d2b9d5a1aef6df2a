#include "protocol/generate.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

struct Case {
  std::string value;
  Shape dims;
  // Without a batch axis: 0.
  int64_t max_batch_size;
  // "[]" of a shape that cannot be had.
  std::string shape;
};

class GenerateTest : public ::testing::Test {
 protected:
  static ModelDefinition One(DataType datatype, const Shape& dims, int64_t max_batch_size = 0) {
    return DefinitionOf({TensorOf("A", datatype, dims)}, {TensorOf("OUT", datatype, {-1})},
                        max_batch_size);
  }
  static Result<std::unique_ptr<Request>> Parse(TestModel& model, std::string_view json) {
    return ParseGenerate(model.Enter(), BodyOf(json), TestPool());
  }
  static std::string Refusal(TestModel& model, std::string_view json) {
    const auto parsed = Parse(model, json);
    EXPECT_FALSE(parsed.ok()) << json;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << json;
    EXPECT_EQ(model.gate().inside(), 0U);
    return parsed.status().message();
  }
};

TEST_F(GenerateTest, GivesAnInputTheShapeOfItsModel) {
  const std::vector<Case> cases = {
      {"5", {-1}, 0, "[1]"},
      {"[1,2,3]", {-1}, 0, "[3]"},
      {"[]", {-1}, 0, "[0]"},
      {"5", {}, 0, "[]"},
      {"[1,2,3]", {-1}, 8, "[1,3]"},
      {"5", {-1}, 8, "[1,1]"},
      {"[1,2]", {2}, 8, "[1,2]"},
      {"[1,2,3,4]", {2}, 8, "[2,2]"},
      {"[1,2,3,4]", {2, 2}, 0, "[2,2]"},
      {"[1,2,3,4]", {2, -1}, 0, "[2,2]"},
      {"[1,2,3,4]", {-1, 2}, 0, "[2,2]"},
      {"[1,2,3,4]", {-1, -1}, 0, "[1,4]"},
      {"[[1,2],[3,4],[5,6]]", {-1, -1}, 0, "[3,2]"},
      {"[[1,2],[3,4],[5,6]]", {-1}, 8, "[3,2]"},
      {"[[[1],[2]]]", {-1, 1}, 8, "[1,2,1]"},
      {"[[],[]]", {-1, -1}, 0, "[2,0]"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(Concat(each.value, " for ", ToText(each.dims), ' ', each.max_batch_size));
    TestModel model(One(DataType::kFp32, each.dims, each.max_batch_size));
    const auto parsed = Parse(model, Concat(R"({"A":)", each.value, "}"));
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    const Tensor& tensor = *(*parsed)->inputs[0];
    EXPECT_EQ(ToText(tensor.shape), each.shape);
    EXPECT_EQ(tensor.data.size(), ByteSize(DataType::kFp32, tensor.shape));
  }
}

TEST_F(GenerateTest, RefusesWhatFitsNoShape) {
  const std::vector<Case> cases = {
      {"[1,2,3]", {2, -1}, 0, ""},
      {"[1,2,3]", {2, 2}, 0, ""},
      {"[1,2,3]", {2}, 8, ""},
      {"5", {2}, 0, ""},
      {"[[1,2],[3]]", {-1, -1}, 0, ""},
      {"[[1,2],3]", {-1, -1}, 0, ""},
      {"[[1,2],[[3],4]]", {-1, -1}, 0, ""},
      {"[[1,2],[3,4]]", {-1}, 0, ""},
      {"[[[1]]]", {-1, -1}, 0, ""},
  };
  for (const Case& each : cases) {
    TestModel model(One(DataType::kFp32, each.dims, each.max_batch_size));
    EXPECT_EQ(Refusal(model, Concat(R"({"A":)", each.value, "}")),
              "The schema can not convert input 'A' to tensor with proper shape");
  }
}

TEST_F(GenerateTest, ReadsEveryKindOfValue) {
  TestModel text(One(DataType::kBytes, {1}));
  EXPECT_EQ(TextOf((*Parse(text, R"({"A":"hi"})"))->inputs[0]->data), StringsOf({"hi"}));
  TestModel truth(One(DataType::kBool, {-1}));
  EXPECT_EQ(TextOf((*Parse(truth, R"({"A":true})"))->inputs[0]->data), "\1");
  TestModel whole(One(DataType::kInt8, {-1}));
  EXPECT_EQ(TextOf((*Parse(whole, R"({"A":[1,-1]})"))->inputs[0]->data), "\x01\xff");
}

TEST_F(GenerateTest, WhatIsNoInputIsAParameter) {
  TestModel model(One(DataType::kFp32, {-1}));
  const auto parsed = Parse(model, R"({"id":"7","stream":true,"A":[1],"temperature":0.5,)"
                                   R"("parameters":{"max_tokens":3,"stop":"x"}})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  const Request& request = **parsed;
  EXPECT_EQ(request.id, "7");
  ASSERT_EQ(request.parameters.size(), 4U);
  EXPECT_EQ(request.parameters[0].name, "stream");
  EXPECT_EQ(std::get<bool>(request.parameters[0].value), true);
  EXPECT_EQ(std::get<double>(request.parameters[1].value), 0.5);
  EXPECT_EQ(std::get<int64_t>(request.parameters[2].value), 3);
  EXPECT_EQ(std::get<std::string>(request.parameters[3].value), "x");
}

TEST_F(GenerateTest, AnInputMayStandAmongTheParameters) {
  TestModel model(One(DataType::kFp32, {-1}));
  const auto parsed = Parse(model, R"({"parameters":{"A":[1,2]}})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ((*parsed)->inputs[0]->data.size(), 8U);
}

TEST_F(GenerateTest, SaysWhatIsWrong) {
  TestModel model(One(DataType::kFp32, {-1}));
  EXPECT_EQ(Refusal(model, "[1]").substr(0, 36), "failed to parse the request JSON buf");
  EXPECT_EQ(Refusal(model, "").substr(0, 36), "failed to parse the request JSON buf");
  EXPECT_EQ(Refusal(model, R"({"A":"x"})"),
            "Unable to parse 'data': attempt to access JSON non-number as double for input 'A'");
  EXPECT_EQ(Refusal(model, R"({"A":null})"),
            "Unable to parse 'data': attempt to access JSON non-number as double for input 'A'");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"A":[2]})"),
            "[request id: <id_unknown>] input 'A' already exists in request");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"parameters":{"A":[2]}})"),
            "Converting keyword: 'parameters': [request id: <id_unknown>] input 'A' already exists "
            "in request");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"x":{"y":1}})"),
            "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'.");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"x":1,"parameters":{"x":2}})"),
            "Converting keyword: 'parameters': parameter 'x' is there twice");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"id":5})"),
            "Unable to parse 'id': attempt to access JSON non-string as string");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"parameters":5})").substr(0, 28),
            "Unable to parse 'parameters'");
  EXPECT_EQ(Refusal(model, R"({"A":[1],"triton_x":5})").substr(0, 14), "parameter keys");
  TestModel half(One(DataType::kFp16, {-1}));
  EXPECT_EQ(Refusal(half, R"({"A":1.0})").substr(0, 19), "receiving FP16 data");
}

TEST_F(GenerateTest, WritesOutputsFlat) {
  TestModel model(DefinitionOf(
      {}, {TensorOf("ONE", DataType::kFp32, {-1}), TensorOf("MANY", DataType::kInt32, {-1}),
           TensorOf("TEXT", DataType::kBytes, {-1}), TensorOf("NONE", DataType::kFp32, {-1})}));
  Request request(model.Enter());
  Response response;
  response.outputs = {
      {0, {DataType::kFp32, {1, 1}, SliceOf(BytesOf<float>({1.5}))}},
      {1, {DataType::kInt32, {2}, SliceOf(BytesOf<int32_t>({1, -2}))}},
      {2, {DataType::kBytes, {1}, SliceOf(StringsOf({"a\"b"}))}},
      {3, {DataType::kFp32, {0}, SliceOf("")}},
  };
  const auto encoded = EncodeGenerate(request, response, TestPool());
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(TextOf(*encoded), R"({"ONE":1.5,"MANY":[1,-2],"TEXT":"a\"b","NONE":[],)"
                              R"("model_name":"m","model_version":"1"})");
}

TEST_F(GenerateTest, WritesIdAndParametersOfAResponse) {
  TestModel model(DefinitionOf({}, {}));
  Request request(model.Enter());
  request.id = "x\n";
  Response response;
  response.parameters = {{"done", true}, {"reason", std::string("length")}};
  EXPECT_EQ(TextOf(*EncodeGenerate(request, response, TestPool())),
            R"({"id":"x\n","model_name":"m","model_version":"1","done":true,"reason":"length"})");
}

TEST_F(GenerateTest, AnOutputThatJsonCannotCarryIsAnError) {
  TestModel model(DefinitionOf({}, {TensorOf("OUT", DataType::kFp16, {-1})}));
  Request request(model.Enter());
  Response response;
  response.outputs = {{0, {DataType::kFp16, {1}, SliceOf("ab")}}};
  EXPECT_EQ(EncodeGenerate(request, response, TestPool()).status().code(), Code::kInvalidArgument);
  ExhaustedAllocator exhausted;
  EXPECT_EQ(EncodeGenerate(request, {}, exhausted).status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace despina::protocol
