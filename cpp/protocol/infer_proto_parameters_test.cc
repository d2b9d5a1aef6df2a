#include "protocol/infer_proto_parameters.h"

#include <string>
#include <vector>

#include "protocol/infer_proto_test_support.h"

namespace despina::protocol {
namespace {

using InferProtoParametersTest = InferProtoTest;

// Made by the protobuf library of Python: two parameters, typed contents, an output's classes.
constexpr std::string_view kRequest =
    "0a016d1201331a036ec3a922120a0b73657175656e63655f696412031a017322120a03746167120b10f9ffffffff"
    "ffffffff012a200a03494e301205494e5431361a0202012a0e120cffffffffffffffffff01ac02321c0a044f5554"
    "3112140a0e636c617373696669636174696f6e12021003";

TEST_F(InferProtoParametersTest, ReadsWhatAnotherLibraryWrote) {
  TestModel model(TwoOf(DataType::kInt16));
  const Result<InferRequest> infer =
      ParseInferProto(model.Enter(), SliceOf(FromHex(kRequest)), regions_, allocator_);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(infer->request->id, "n\xC3\xA9");
  EXPECT_EQ(infer->request->inputs[0]->shape, (Shape{2, 1}));
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), BytesOf<int16_t>({-1, 300}));
  ASSERT_EQ(infer->request->parameters.size(), 1U) << "the sequence is none of the model's";
  EXPECT_EQ(infer->request->parameters[0].name, "tag");
  EXPECT_EQ(std::get<int64_t>(infer->request->parameters[0].value), -7);
  ASSERT_EQ(infer->preferences.listed.size(), 1U);
  EXPECT_EQ(infer->preferences.listed[0].index, 1U);
  EXPECT_EQ(infer->preferences.listed[0].classification, 3U);
}

TEST_F(InferProtoParametersTest, KeepsCustomParametersWithTheirTypes) {
  const Result<InferRequest> infer = Parse(Concat(
      RequestParameter("s", TextValue("text")), RequestParameter("i", IntValue(-7)),
      RequestParameter("b", BoolValue(false)), RequestParameter("d", DoubleValue(0.5)),
      RequestParameter("", TextValue("")), RequestParameter("binary_data_output", IntValue(1))));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  const std::vector<Parameter>& parameters = infer->request->parameters;
  ASSERT_EQ(parameters.size(), 6U);
  EXPECT_EQ(parameters[0].name, "");
  EXPECT_EQ(std::get<std::string>(parameters[0].value), "");
  EXPECT_EQ(parameters[1].name, "b");
  EXPECT_FALSE(std::get<bool>(parameters[1].value));
  EXPECT_EQ(parameters[2].name, "binary_data_output") << "which means something in JSON alone";
  EXPECT_EQ(std::get<double>(parameters[3].value), 0.5);
  EXPECT_EQ(std::get<int64_t>(parameters[4].value), -7);
  EXPECT_EQ(std::get<std::string>(parameters[5].value), "text");
}

TEST_F(InferProtoParametersTest, WhatStandsLastCounts) {
  const Result<InferRequest> infer =
      Parse(Concat(RequestParameter("p", IntValue(1)), RequestParameter("q", IntValue(2)),
                   RequestParameter("p", TextValue("3")),
                   Field(4, Concat(Field(2, BoolValue(true)), Field(1, "no"), Field(1, "r"),
                                   Field(2, IntValue(4) + DoubleValue(5)), Field(2, "")))));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  const std::vector<Parameter>& parameters = infer->request->parameters;
  ASSERT_EQ(parameters.size(), 3U);
  EXPECT_EQ(std::get<std::string>(parameters[0].value), "3");
  EXPECT_EQ(std::get<int64_t>(parameters[1].value), 2);
  EXPECT_EQ(parameters[2].name, "r");
  EXPECT_EQ(std::get<double>(parameters[2].value), 5) << "an empty value changes nothing";
}

TEST_F(InferProtoParametersTest, ChecksReservedParametersAndKeepsThemFromTheModel) {
  const Result<InferRequest> infer = Parse(Concat(
      RequestParameter("sequence_id", IntValue(-7)),
      RequestParameter("sequence_id", TextValue("seven")),
      RequestParameter("sequence_start", BoolValue(true)),
      RequestParameter("sequence_end", BoolValue(false)), RequestParameter("priority", IntValue(0)),
      RequestParameter("priority", UnsignedValue(UINT64_MAX)),
      RequestParameter("timeout", IntValue(INT64_MAX))));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_TRUE(infer->request->parameters.empty());
}

TEST_F(InferProtoParametersTest, ARequestMayAskForTheEmptyFinalResponse) {
  for (const bool enable : {true, false}) {
    const Result<InferRequest> infer =
        Parse(RequestParameter("triton_enable_empty_final_response", BoolValue(enable)));
    ASSERT_TRUE(infer.ok()) << infer.status().message();
    EXPECT_EQ(infer->enable_empty_final_response, enable);
    EXPECT_TRUE(infer->request->parameters.empty());
  }
}

TEST_F(InferProtoParametersTest, RefusesParameters) {
  const auto expected = [](std::string_view name, std::string_view type) {
    return Concat("invalid value type for '", name, "' parameter, expected ", type, ".");
  };
  const std::string custom =
      expected("p", "int64_param, bool_param, double_param, or string_param");
  const std::string id = expected("sequence_id", "int64_param or string_param");
  const std::string priority = expected("priority", "int64_param or uint64_param");
  const std::string timeout = expected("timeout", "int64_param");
  const std::string empty_final = "triton_enable_empty_final_response";
  const ProtoRefusal refusals[] = {
      {RequestParameter("p", UnsignedValue(1)), custom},
      {RequestParameter("p", ""), custom},
      {RequestParameter("p", Varint(6, 1)), custom},
      {Field(4, Field(1, "p")), custom},
      {RequestParameter("sequence_id", UnsignedValue(5)), id},
      {RequestParameter("sequence_id", BoolValue(true)), id},
      {RequestParameter("sequence_id", ""), id},
      {RequestParameter("sequence_start", IntValue(1)), expected("sequence_start", "bool_param")},
      {RequestParameter("sequence_end", TextValue("a")), expected("sequence_end", "bool_param")},
      {RequestParameter("priority", IntValue(-1)),
       "invalid value for 'priority', expected value >= 0."},
      {RequestParameter("priority", BoolValue(true)), priority},
      {RequestParameter("priority", TextValue("1")), priority},
      {RequestParameter("timeout", IntValue(-1)),
       "invalid value for 'timeout', expected value >= 0."},
      {RequestParameter("timeout", UnsignedValue(1)), timeout},
      {RequestParameter("timeout", TextValue("1")), timeout},
      {RequestParameter(empty_final, IntValue(1)), expected(empty_final, "bool_param")},
      {RequestParameter("triton_x", BoolValue(true)),
       "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following "
       "keys starting with 'triton_' are allowed: triton_enable_empty_final_response"},
      {RequestParameter("p", Varint(3, 1)),
       "failed to parse ModelInferRequest: field 3 has wire type 0, not 2"},
      {RequestParameter("p", "\x21\x01"),
       "failed to parse ModelInferRequest: end of buffer exception"},
  };
  for (const ProtoRefusal& refusal : refusals) ExpectRefused(refusal);
}

TEST_F(InferProtoParametersTest, TakesVeryManyParametersInReasonableTime) {
  std::string message;
  for (int i = 0; i < 100'000; ++i) {
    message += RequestParameter(Concat("p", i % 50'000), IntValue(i));
  }
  const Result<InferRequest> infer = Parse(message);
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  ASSERT_EQ(infer->request->parameters.size(), 50'000U);
  EXPECT_EQ(std::get<int64_t>(infer->request->parameters[0].value), 50'000);
}

}  // namespace
}  // namespace despina::protocol
