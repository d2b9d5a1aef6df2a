#include "protocol/infer_parameters.h"

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/infer_test_support.h"

namespace despina::protocol {
namespace {

using InferParametersTest = InferTest;

std::string WithParameters(std::string_view parameters) {
  return Concat(R"({"inputs":[],"parameters":{)", parameters, "}}");
}

TEST_F(InferParametersTest, KeepsCustomParametersWithTheirTypes) {
  TestModel model(TwoOf(DataType::kFp32));
  const Result<InferRequest> result = Parse(
      WithParameters(R"("s":"text","i":-7,"b":true,"d":0.5,"binary_data_output":true)"), model);
  ASSERT_TRUE(result.ok()) << result.status().message();
  const std::vector<Parameter>& parameters = result->request->parameters;
  ASSERT_EQ(parameters.size(), 4U);
  EXPECT_EQ(parameters[0].name, "s");
  EXPECT_EQ(std::get<std::string>(parameters[0].value), "text");
  EXPECT_EQ(std::get<int64_t>(parameters[1].value), -7);
  EXPECT_TRUE(std::get<bool>(parameters[2].value));
  EXPECT_EQ(std::get<double>(parameters[3].value), 0.5);
  EXPECT_TRUE(result->preferences.binary_by_default);
}

TEST_F(InferParametersTest, ChecksReservedParametersAndKeepsThemFromTheModel) {
  TestModel model(TwoOf(DataType::kFp32));
  for (const auto* parameters :
       {R"("sequence_id":7,"sequence_start":true,"sequence_end":false)",
        R"("sequence_id":"seven","priority":18446744073709551615,"timeout":0)",
        R"("binary_data_output":false)"}) {
    const Result<InferRequest> result = Parse(WithParameters(parameters), model);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_TRUE(result->request->parameters.empty());
    EXPECT_FALSE(result->preferences.binary_by_default);
  }
}

TEST_F(InferParametersTest, RefusesParameters) {
  const std::string invalid =
      "parameter 'p' has invalid type. It should be either 'int', 'bool', or 'string'.";
  const std::string not_unsigned = "attempt to access JSON non-unsigned-integer";
  const std::string not_bool = "attempt to access JSON non-boolean as boolean";
  const Refusal refusals[] = {
      {WithParameters(R"("p":[])"), invalid},
      {WithParameters(R"("p":{})"), invalid},
      {WithParameters(R"("p":null)"), invalid},
      {WithParameters(R"("p":18446744073709551615)"), "parameter 'p' is out of range for 'int'."},
      {WithParameters(R"("p":1,"q":2,"p":3)"), "parameter 'p' is there twice"},
      {WithParameters(R"("priority":1,"priority":1)"), "parameter 'priority' is there twice"},
      {WithParameters(R"("triton_x":1)"),
       "parameter keys starting with 'triton_' are reserved for Triton usage and should not be "
       "specified."},
      {WithParameters(R"("sequence_id":-1)"), "Unable to parse 'sequence_id': " + not_unsigned},
      {WithParameters(R"("sequence_id":true)"), "Unable to parse 'sequence_id': " + not_unsigned},
      {WithParameters(R"("sequence_start":1)"), "Unable to parse 'sequence_start': " + not_bool},
      {WithParameters(R"("sequence_end":"no")"), "Unable to parse 'sequence_end': " + not_bool},
      {WithParameters(R"("priority":-1)"), "Unable to parse 'priority': " + not_unsigned},
      {WithParameters(R"("timeout":0.5)"), "Unable to parse 'timeout': " + not_unsigned},
      {WithParameters(R"("binary_data_output":1)"),
       "Unable to parse 'binary_data_output': " + not_bool},
  };
  TestModel model(TwoOf(DataType::kFp32));
  for (const Refusal& refusal : refusals) ExpectRefused(refusal, model);
}

TEST_F(InferParametersTest, TakesVeryManyParametersInReasonableTime) {
  std::string parameters = R"("p":0)";
  for (int i = 0; i < 100'000; ++i) parameters += Concat(",\"p", i, "\":", i);
  TestModel model(TwoOf(DataType::kFp32));
  const Result<InferRequest> result = Parse(WithParameters(parameters), model);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->request->parameters.size(), 100'001U);
}

}  // namespace
}  // namespace despina::protocol
