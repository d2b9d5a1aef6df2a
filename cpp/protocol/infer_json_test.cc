#include "protocol/infer_json.h"

#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "protocol/infer_test_support.h"

namespace despina::protocol {
namespace {

using InferJsonTest = InferTest;

TEST_F(InferJsonTest, ReadsIdInputsAndRequestedOutputs) {
  TestModel model(TwoOf(DataType::kFp32));
  const Result<InferRequest> result = Parse(R"({
      "id": "a\"b",
      "inputs": [
        {"name": "IN1", "shape": [2], "datatype": "FP32", "data": [3, -0.5]},
        {"data": [1e3], "datatype": "FP32", "shape": [1], "name": "IN0", "unknown": {}}],
      "outputs": [
        {"name": "OUT1", "parameters": {"binary_data": true, "classification": 3}},
        {"name": "OUT0"}],
      "unknown": [1, 2]})",
                                            model);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Request& request = *result->request;
  EXPECT_EQ(request.id, "a\"b");
  EXPECT_EQ(request.model.get(), &model);
  ASSERT_EQ(request.inputs.size(), 2U);
  EXPECT_EQ(request.inputs[0]->shape, Shape{1});
  EXPECT_EQ(TextOf(request.inputs[0]->data), BytesOf<float>({1000}));
  EXPECT_EQ(request.inputs[1]->shape, Shape{2});
  EXPECT_EQ(TextOf(request.inputs[1]->data), BytesOf<float>({3, -0.5F}));
  EXPECT_TRUE(request.inputs[1]->data.aligned());
  EXPECT_EQ(request.requested_outputs, (std::vector<uint32_t>{1, 0}));
  const OutputPreferences& preferences = result->preferences;
  ASSERT_EQ(preferences.listed.size(), 2U);
  EXPECT_EQ(preferences.listed[0].index, 1U);
  EXPECT_TRUE(preferences.listed[0].binary);
  EXPECT_EQ(preferences.listed[0].classification, 3U);
  EXPECT_EQ(preferences.listed[1].index, 0U);
  EXPECT_FALSE(preferences.listed[1].binary);
  EXPECT_FALSE(preferences.binary_by_default);
}

TEST_F(InferJsonTest, LeavesInputsThatWereNotSentEmpty) {
  TestModel model(TwoOf(DataType::kFp32));
  const Result<InferRequest> result = Parse(R"({"inputs":[]})", model);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_FALSE(result->request->inputs[0]);
  EXPECT_FALSE(result->request->inputs[1]);
  EXPECT_TRUE(result->request->requested_outputs.empty());
}

TEST_F(InferJsonTest, TakesElementsOfEveryDatatypeThatJsonCarries) {
  struct Case {
    std::string_view datatype;
    std::string_view data;
    std::string bytes;
  };
  const Case cases[] = {
      {"BOOL", "[true,false]", std::string("\1\0", 2)},
      {"UINT8", "[0,255]", BytesOf<uint8_t>({0, 255})},
      {"UINT16", "[0,65535]", BytesOf<uint16_t>({0, 65535})},
      {"UINT32", "[0,4294967295]", BytesOf<uint32_t>({0, 4294967295U})},
      {"UINT64", "[0,18446744073709551615]",
       BytesOf<uint64_t>({0, std::numeric_limits<uint64_t>::max()})},
      {"INT8", "[-128,127]", BytesOf<int8_t>({-128, 127})},
      {"INT16", "[-32768,32767]", BytesOf<int16_t>({-32768, 32767})},
      {"INT32", "[-2147483648,2147483647]", BytesOf<int32_t>({-2147483648, 2147483647})},
      {"INT64", "[-9223372036854775808,9223372036854775807]",
       BytesOf<int64_t>(
           {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()})},
      {"FP32", "[1.17549435e-38,3.4028235e38]",
       BytesOf<float>({std::numeric_limits<float>::min(), std::numeric_limits<float>::max()})},
      {"FP32", "[16777217,18446744073709551615]",
       BytesOf<float>({16777216.0F, 18446744073709551616.0F})},
      {"FP64", "[0.1,-2.5e-308]", BytesOf<double>({0.1, -2.5e-308})},
      {"BYTES", R"(["a\u0000\u00e9","\ud83d\ude00"])",
       StringsOf({std::string_view("a\0\xC3\xA9", 4), "\xF0\x9F\x98\x80"})},
      {"BYTES", R"(["",""])", StringsOf({"", ""})},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(Concat(each.datatype, ' ', each.data));
    TestModel model(TwoOf(*ParseDataType(each.datatype)));
    const Result<InferRequest> result = Parse(OneInput(each.datatype, "[2]", each.data), model);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(TextOf(result->request->inputs[0]->data), each.bytes);
  }
}

TEST_F(InferJsonTest, TakesNestedDataOfTheRightCount) {
  TestModel model(TwoOf(DataType::kInt8));
  for (const auto* data :
       {"[1,2,3,4]", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4]]]", "[1,[2,3],[],4]"}) {
    const Result<InferRequest> result = Parse(OneInput("INT8", "[1,4]", data), model);
    ASSERT_TRUE(result.ok()) << data << ": " << result.status().message();
    EXPECT_EQ(TextOf(result->request->inputs[0]->data), std::string("\1\2\3\4"));
  }
}

TEST_F(InferJsonTest, TakesTensorsWithoutElementsAndScalars) {
  TestModel model(TwoOf(DataType::kBytes));
  for (const auto& [datatype, shape, data, size] :
       {std::tuple{"INT8", "[1,0]", "[]", 0}, std::tuple{"FP32", "[1,0]", "[[]]", 0},
        std::tuple{"BYTES", "[0]", "[]", 0}, std::tuple{"INT32", "[]", "[7]", 4}}) {
    const Result<InferRequest> result = Parse(OneInput(datatype, shape, data), model);
    ASSERT_TRUE(result.ok()) << datatype << shape << ": " << result.status().message();
    EXPECT_EQ(result->request->inputs[0]->data.size(), static_cast<size_t>(size));
  }
}

TEST_F(InferJsonTest, RefusesDataThatDoesNotFitItsDatatype) {
  const std::string type = "Unable to parse 'data': attempt to access JSON non-";
  const std::string range = "Unable to parse 'data': a value is out of range for ";
  const std::string count =
      "Unable to parse 'data': Shape does not match true shape of 'data' field";
  const Refusal refusals[] = {
      {OneInput("BOOL", "[1]", "[1]"), type + "boolean as boolean for input 'IN0'"},
      {OneInput("INT32", "[1]", "[1.5]"), type + "signed-integer as signed-integer"},
      {OneInput("INT32", "[1]", "[true]"), type + "signed-integer as signed-integer"},
      {OneInput("UINT8", "[1]", "[\"1\"]"), type + "unsigned-integer as unsigned-integer"},
      {OneInput("FP32", "[1]", "[null]"), type + "number as double"},
      {OneInput("FP64", "[1]", "[{}]"), type + "number as double"},
      {OneInput("BYTES", "[1]", "[1]"), type + "string as string"},
      {OneInput("BYTES", "[2]", R"([["a"],[null]])"), type + "string as string"},
      {OneInput("INT8", "[1]", "1"), type + "array as array"},
      {OneInput("INT8", "[1]", "{}"), type + "array as array"},
      {OneInput("INT8", "[1]", "null"), type + "array as array"},
      {OneInput("UINT8", "[1]", "[256]"), range + "UINT8 for input 'IN0'"},
      {OneInput("UINT8", "[1]", "[-1]"), range + "UINT8"},
      {OneInput("UINT64", "[1]", "[-1]"), range + "UINT64"},
      {OneInput("INT8", "[1]", "[128]"), range + "INT8"},
      {OneInput("INT8", "[2]", "[[0],[-129]]"), range + "INT8"},
      {OneInput("INT64", "[1]", "[9223372036854775808]"), range + "INT64"},
      {OneInput("FP32", "[1]", "[3.5e38]"), range + "FP32"},
      {OneInput("FP16", "[1]", "[1]"),
       "receiving FP16 data via JSON is not supported. Please use the binary data format for input "
       "IN0"},
      {OneInput("BF16", "[1]", "[1]"), "receiving BF16 data via JSON is not supported."},
      {OneInput("INT8", "[2]", "[1]"), count},
      {OneInput("INT8", "[2]", "[1,2,3]"), count},
      {OneInput("BYTES", "[1]", "[]"), count},
      {OneInput("FP32", "[0]", "[1]"), count},
  };
  TestModel model(TwoOf(DataType::kFp32));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
}

// As long as the shape says, with arrays in place of elements.
TEST_F(InferJsonTest, CountsTheElementsOfInnerArraysToo) {
  TestModel model(TwoOf(DataType::kInt8));
  for (const auto* datatype : {"INT8", "BYTES"}) {
    const bool texts = std::string_view(datatype) == "BYTES";
    for (const auto* data : {"[1,[2,3]]", "[1,[]]", "[[],[]]", "[[1],[[2],[3]]]"}) {
      std::string in_quotes;
      for (const char each : std::string_view(data)) {
        in_quotes += each >= '0' && each <= '9' ? Concat('"', each, '"') : std::string(1, each);
      }
      ExpectRefused({OneInput(datatype, "[2]", texts ? in_quotes : data),
                     "Unable to parse 'data': Shape does not match true shape of 'data' field"},
                    model);
    }
  }
}

TEST_F(InferJsonTest, TakesNoMemoryForAShapeThatItsDataDoesNotFill) {
  TestModel model(TwoOf(DataType::kFp64));
  for (const auto* shape : {"[1000000000]", "[4611686018427387904]", "[65536,65536,65536]"}) {
    for (const auto* datatype : {"FP64", "BYTES", "BOOL"}) {
      const Result<InferRequest> result = Parse(OneInput(datatype, shape, "[]"), model);
      ASSERT_FALSE(result.ok());
      EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
    }
  }
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferJsonTest, RefusesShapes) {
  const std::string not_unsigned =
      "Unable to parse 'shape': attempt to access JSON non-unsigned-integer as unsigned-integer";
  std::string million = "[1";
  for (int i = 1; i < 1'000'000; ++i) million += ",1";
  million += ']';
  const Refusal refusals[] = {
      {OneInput("INT8", "[-1]", "[]"), not_unsigned},
      {OneInput("INT8", "[1.0]", "[1]"), not_unsigned},
      {OneInput("INT8", "[\"1\"]", "[1]"), not_unsigned},
      {OneInput("INT8", "[[1]]", "[1]"), not_unsigned},
      {OneInput("INT8", "1", "[1]"), "Unable to parse 'shape': attempt to access JSON non-array"},
      {OneInput("INT8", "[9223372036854775808]", "[]"),
       "Unable to parse 'shape': dimension 9223372036854775808 of input 'IN0' is too large"},
      {OneInput("INT8", "[4611686018427387904,8]", "[]"),
       "Unable to parse 'shape': shape [4611686018427387904,8] of input 'IN0' has more elements"},
      {OneInput("INT8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[1]"),
       "Unable to parse 'shape': input 'IN0' has more than 16 dimensions"},
      {OneInput("INT8", million, "[1]"),
       "Unable to parse 'shape': input 'IN0' has more than 16 dimensions"},
  };
  TestModel model(TwoOf(DataType::kInt8));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferJsonTest, RefusesDocumentsThatAreNotRequests) {
  const std::string malformed = "failed to parse the request JSON buffer: ";
  const std::string valid = OneInput("INT8", "[1]", "[1]");
  const Refusal refusals[] = {
      {" ", malformed},
      {"{", malformed},
      {"nonsense", malformed},
      {valid + "x", malformed},
      {valid + valid, malformed},
      {valid.substr(0, valid.size() - 1), malformed},
      {OneInput("FP32", "[1]", "[NaN]"), malformed},
      {OneInput("FP32", "[1]", "[Infinity]"), malformed},
      {OneInput("FP32", "[1]", "[1e999]"), malformed},
      {OneInput("FP32", "[1]", "[01]"), malformed},
      {OneInput("FP32", "[2]", "[1,2,]"), malformed},
      {OneInput("INT64", "[1]", "[18446744073709551616]"), "Unable to parse 'data'"},
      {OneInput("BYTES", "[1]", R"(["\ud800"])"), malformed},
      {OneInput("BYTES", "[1]", R"(["\x"])"), malformed},
      {OneInput("BYTES", "[1]", "[\"\xFF\"]"), malformed},
      {OneInput("BYTES", "[1]", "[\"\xC0\xAF\"]"), malformed},
      {OneInput("BYTES", "[1]", "[\"\n\"]"), malformed},
      {OneInput("BYTES", "[1]", "[\"unterminated]"), malformed},
      {"[]", malformed + "it is not an object"},
      {"\"inputs\"", malformed + "it is not an object"},
      {"null", malformed + "it is not an object"},
      {"{}", "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"},
      {R"({"inputs":{}})", "Unable to parse 'inputs': attempt to access JSON non-array as array"},
      {R"({"inputs":null})", "Unable to parse 'inputs': attempt to access JSON non-array as array"},
      {R"({"inputs":[[]]})",
       "Unable to parse 'inputs': attempt to access JSON non-object as object"},
      {R"({"inputs":[{}]})",
       "Unable to parse 'name': attempt to access non-existing object member 'name'"},
      {R"({"inputs":[{"name":"IN0"}]})", "Unable to parse 'datatype': attempt to access non-exist"},
      {R"({"inputs":[{"name":"IN0","datatype":"FP32"}]})", "Unable to parse 'shape': attempt to"},
      {R"({"id":1,"inputs":[]})",
       "Unable to parse 'id': attempt to access JSON non-string as string"},
      {R"({"id":null,"inputs":[]})", "Unable to parse 'id': attempt to access JSON non-string"},
      {R"({"parameters":[],"inputs":[]})", "Unable to parse 'parameters': attempt to access JSON"},
      {R"({"inputs":[],"outputs":{}})", "Unable to parse 'outputs': attempt to access JSON non-a"},
      {R"({"inputs":[],"outputs":["OUT0"]})", "Unable to parse 'outputs': attempt to access JSON"},
      {R"({"inputs":[],"outputs":[{}]})", "Unable to parse 'name': attempt to access non-existin"},
      {R"({"id":"a","id":"b","inputs":[]})", "Unable to parse 'id': the member is there twice"},
      {R"({"inputs":[],"inputs":[]})", "Unable to parse 'inputs': the member is there twice"},
  };
  TestModel model(TwoOf(DataType::kInt8));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
}

TEST_F(InferJsonTest, RefusesDocumentsThatAreNestedTooDeep) {
  TestModel model(TwoOf(DataType::kInt8));
  const auto nested = [](size_t depth) {
    return OneInput("INT8", "[1]", std::string(depth, '[') + "1" + std::string(depth, ']'));
  };
  // Around it are the document, the inputs and the input.
  EXPECT_TRUE(Parse(nested(90), model).ok());
  for (const size_t depth : {100, 100'000}) {
    ExpectRefused({nested(depth), "failed to parse the request JSON buffer: "}, model);
  }
  ExpectRefused({std::string(100'000, '['), "failed to parse the request JSON buffer: "}, model);
}

TEST_F(InferJsonTest, RefusesInputsThatTheModelDoesNotHave) {
  const std::string input = R"({"name":"IN0","datatype":"INT8","shape":[1],"data":[1]})";
  const Refusal refusals[] = {
      {R"({"inputs":[{"name":"IN9","datatype":"INT8","shape":[1],"data":[1]}]})",
       "unexpected inference input 'IN9' for model 'm'"},
      {R"({"inputs":[{"name":"IN0\u0000","datatype":"INT8","shape":[1],"data":[1]}]})",
       std::string("unexpected inference input 'IN0\0' for model 'm'", 45)},
      {R"({"inputs":[{"name":"","datatype":"INT8","shape":[1],"data":[1]}]})",
       "unexpected inference input '' for model 'm'"},
      {R"({"inputs":[{"name":7,"datatype":"INT8","shape":[1],"data":[1]}]})",
       "Unable to parse 'name': attempt to access JSON non-string as string"},
      {Concat(R"({"inputs":[)", input, ',', input, "]}"),
       "[request id: <id_unknown>] input 'IN0' already exists in request"},
      {OneInput("INT9", "[1]", "[1]"), "invalid datatype for input IN0"},
      {R"({"inputs":[{"name":"IN0","datatype":8,"shape":[1],"data":[1]}]})",
       "Unable to parse 'datatype': attempt to access JSON non-string as string"},
  };
  TestModel model(TwoOf(DataType::kInt8));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
}

std::string WithInputMembers(std::string_view members) {
  return Concat(R"({"inputs":[{"name":"IN0","datatype":"INT8","shape":[1])", members, "}]}");
}

TEST_F(InferJsonTest, WantsTheDataOfAnInputInOnePlace) {
  const std::string rule =
      "Input must set only one of the following fields: 'data', 'binary_data_size' in "
      "'parameters', 'shared_memory_region' in 'parameters'. But ";
  const Refusal refusals[] = {
      {WithInputMembers(""), rule + "no field is set"},
      {WithInputMembers(R"(,"parameters":{})"), rule + "no field is set"},
      {WithInputMembers(R"(,"data":[1],"parameters":{"binary_data_size":1})"),
       rule + "set 'data' 'binary_data_size'"},
      {WithInputMembers(R"(,"parameters":{"binary_data_size":-1})"),
       "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer"},
      {WithInputMembers(R"(,"parameters":{"binary_data_size":"1"})"),
       "Unable to parse 'binary_data_size': attempt to access JSON non-unsigned-integer"},
      {WithInputMembers(R"(,"parameters":{"binary_data_size":1,"binary_data_size":0})"),
       "Unable to parse 'binary_data_size': the member is there twice"},
      {WithInputMembers(R"(,"data":[1],"parameters":7)"),
       "Unable to parse 'parameters': attempt to access JSON non-object as object"},
  };
  TestModel model(TwoOf(DataType::kInt8));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
}

std::string WithOutputs(std::string_view outputs) {
  return Concat(R"({"inputs":[],"outputs":[)", outputs, "]}");
}

TEST_F(InferJsonTest, RefusesOutputsThatItCannotGive) {
  std::string many = R"({"name":"OUT0"})";
  for (int i = 0; i < 100'000; ++i) many += R"(,{"name":"OUT0"})";
  const auto with = [](std::string_view parameters) {
    return WithOutputs(Concat(R"({"name":"OUT0","parameters":)", parameters, '}'));
  };
  const Refusal refusals[] = {
      {WithOutputs(R"({"name":"NOPE"})"), "unexpected inference output 'NOPE' for model 'm'"},
      {WithOutputs(R"({"name":"OUT0"},{"name":"OUT1"},{"name":"OUT0"})"),
       "output 'OUT0' is requested more than once from model 'm'"},
      {WithOutputs(many), "output 'OUT0' is requested more than once from model 'm'"},
      {with("[]"), "Unable to parse 'parameters': attempt to access JSON non-object as object"},
      {with(R"({"binary_data":1})"),
       "Unable to parse 'binary_data': attempt to access JSON non-boolean as boolean"},
      {with(R"({"classification":-1})"),
       "Unable to parse 'classification': attempt to access JSON non-unsigned-integer"},
      {with(R"({"classification":"3"})"),
       "Unable to parse 'classification': attempt to access JSON non-unsigned-integer"},
  };
  TestModel model(TwoOf(DataType::kInt8));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
}

TEST_F(InferJsonTest, TakesAsManyClassesAsThereCanBe) {
  TestModel model(TwoOf(DataType::kFp32));
  const Result<InferRequest> result = Parse(
      WithOutputs(
          R"({"name":"OUT0","parameters":{"classification":18446744073709551615,"other":1}})"),
      model);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->preferences.listed[0].classification, std::numeric_limits<uint32_t>::max());
}

}  // namespace
}  // namespace despina::protocol
