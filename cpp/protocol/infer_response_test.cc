#include "protocol/infer_response.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include "base/text.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

constexpr std::string_view kHead = R"({"model_name":"m","model_version":"1","outputs":[)";

class InferResponseTest : public ::testing::Test {
 protected:
  // The request that the response belongs to, with its outputs still to be set.
  std::unique_ptr<Request> NewRequest() { return std::make_unique<Request>(model_.Enter()); }

  std::unique_ptr<Request> RequestWith(DataType datatype, const Shape& shape,
                                       std::string_view data) {
    auto request = NewRequest();
    request->response.outputs.push_back(
        {.index = 0, .tensor = {.datatype = datatype, .shape = shape, .data = SliceOf(data)}});
    return request;
  }

  // The JSON data of one output.
  Result<std::string> Data(DataType datatype, const Shape& shape, std::string_view data) {
    const auto request = RequestWith(datatype, shape, data);
    const Result<EncodedResponse> encoded =
        EncodeInfer(*request, request->response, {}, TestPool());
    if (!encoded.ok()) return encoded.status();
    EXPECT_FALSE(encoded->binary());
    const std::string text = TextOf(encoded->json);
    const size_t start = text.find("\"data\":") + 7;
    return text.substr(start, text.size() - start - 3);
  }

  TestModel model_{TwoOf(DataType::kFp32)};
};

OutputPreferences Binary() { return {.listed = {}, .binary_by_default = true}; }

TEST_F(InferResponseTest, WritesIdParametersAndOutputs) {
  const auto request = RequestWith(DataType::kFp32, {1, 2}, BytesOf<float>({2, -0.5F}));
  request->id = "a\"\n";
  request->response.parameters = {
      {.name = "p", .value = true},
      {.name = "i", .value = int64_t{-3}},
      {.name = "d", .value = 2.0},
      {.name = "s", .value = std::string("x\\")},
  };
  const Result<EncodedResponse> encoded = EncodeInfer(*request, request->response, {}, TestPool());
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(TextOf(encoded->json),
            R"({"id":"a\"\n","model_name":"m","model_version":"1",)"
            R"("parameters":{"p":true,"i":-3,"d":2.0,"s":"x\\"},)"
            R"("outputs":[{"name":"OUT0","datatype":"FP32","shape":[1,2],"data":[2.0,-0.5]}]})");
  EXPECT_EQ(encoded->content_type(), "application/json");
  EXPECT_EQ(encoded->size(), encoded->json.size());
}

TEST_F(InferResponseTest, SendsBinaryOutputsBehindTheJsonWithoutCopies) {
  auto request = RequestWith(DataType::kUint8, {3}, "abc");
  request->response.outputs.push_back(
      {.index = 1,
       .tensor = {.datatype = DataType::kBytes, .shape = {1}, .data = SliceOf(StringsOf({"x"}))}});
  const Result<EncodedResponse> encoded =
      EncodeInfer(*request, request->response, Binary(), TestPool());
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(TextOf(encoded->json),
            Concat(kHead, R"({"name":"OUT0","datatype":"UINT8","shape":[3],)",
                   R"("parameters":{"binary_data_size":3}},)",
                   R"({"name":"OUT1","datatype":"BYTES","shape":[1],)",
                   R"("parameters":{"binary_data_size":5}}]})"));
  ASSERT_EQ(encoded->tensors.size(), 2U);
  EXPECT_EQ(encoded->tensors[0].data(), request->response.outputs[0].tensor.data.data());
  EXPECT_EQ(encoded->tensors[1].data(), request->response.outputs[1].tensor.data.data());
  EXPECT_EQ(encoded->content_type(), "application/octet-stream");
  EXPECT_EQ(encoded->size(), encoded->json.size() + 8);
}

TEST_F(InferResponseTest, IsPlainJsonWhenBinaryOutputsHaveNoBytes) {
  const auto request = RequestWith(DataType::kFp32, {0, 4}, "");
  const Result<EncodedResponse> encoded =
      EncodeInfer(*request, request->response, Binary(), TestPool());
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(TextOf(encoded->json),
            Concat(kHead, R"({"name":"OUT0","datatype":"FP32","shape":[0,4],)",
                   R"("parameters":{"binary_data_size":0}}]})"));
  EXPECT_FALSE(encoded->binary());
}

// The reference server's quirk: the default of the request counts for outputs that are not listed.
TEST_F(InferResponseTest, GivesListedOutputsAsJsonUnlessTheySayBinary) {
  auto request = RequestWith(DataType::kUint8, {1}, "\7");
  request->response.outputs.push_back({.index = 1, .tensor = request->response.outputs[0].tensor});
  const OutputPreferences preferences{
      .listed = {{.index = 1, .binary = true}, {.index = 0, .binary = false}},
      .binary_by_default = true};
  const Result<EncodedResponse> encoded =
      EncodeInfer(*request, request->response, preferences, TestPool());
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(TextOf(encoded->json),
            Concat(kHead, R"({"name":"OUT0","datatype":"UINT8","shape":[1],"data":[7]},)",
                   R"({"name":"OUT1","datatype":"UINT8","shape":[1],)",
                   R"("parameters":{"binary_data_size":1}}]})"));
}

TEST_F(InferResponseTest, LeavesOutOutputsThatWereNotAskedFor) {
  auto request = RequestWith(DataType::kUint8, {1}, "\7");
  request->response.outputs.push_back({.index = 1, .tensor = request->response.outputs[0].tensor});
  const OutputPreferences preferences{.listed = {{.index = 1}}};
  const Result<EncodedResponse> encoded =
      EncodeInfer(*request, request->response, preferences, TestPool());
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(TextOf(encoded->json),
            Concat(kHead, R"({"name":"OUT1","datatype":"UINT8","shape":[1],"data":[7]}]})"));
}

TEST_F(InferResponseTest, WritesEveryDatatypeThatJsonCarries) {
  const struct {
    DataType datatype;
    std::string bytes;
    int64_t count;
    std::string_view json;
  } cases[] = {
      {DataType::kBool, std::string("\0\1\2", 3), 3, "[false,true,true]"},
      {DataType::kUint8, BytesOf<uint8_t>({0, 255}), 2, "[0,255]"},
      {DataType::kUint16, BytesOf<uint16_t>({65535}), 1, "[65535]"},
      {DataType::kUint32, BytesOf<uint32_t>({4294967295U}), 1, "[4294967295]"},
      {DataType::kUint64, BytesOf<uint64_t>({UINT64_MAX}), 1, "[18446744073709551615]"},
      {DataType::kInt8, BytesOf<int8_t>({-128, 127}), 2, "[-128,127]"},
      {DataType::kInt16, BytesOf<int16_t>({-32768}), 1, "[-32768]"},
      {DataType::kInt32, BytesOf<int32_t>({INT32_MIN}), 1, "[-2147483648]"},
      {DataType::kInt64, BytesOf<int64_t>({INT64_MIN}), 1, "[-9223372036854775808]"},
      {DataType::kFp32, BytesOf<float>({2, -0.0F, 0.1F, 1e9F, 16777216}), 5,
       "[2.0,-0.0,0.1,1e+09,16777216.0]"},
      {DataType::kFp32, BytesOf<float>({999999, -1000001, 2147483904.0F, 1000000.5F}), 4,
       "[999999.0,-1000001.0,2147483904.0,1000000.5]"},
      {DataType::kFp64, BytesOf<double>({2, 0.1, 1e300}), 3, "[2.0,0.1,1e+300]"},
      {DataType::kBytes, StringsOf({"a\"\\\n\x1F/", "", "\xC3\xA9"}), 3,
       "[\"a\\\"\\\\\\n\\u001f/\",\"\",\"\xC3\xA9\"]"},
      {DataType::kBytes, StringsOf({std::string_view("\0", 1)}), 1, R"(["\u0000"])"},
      {DataType::kFp32, "", 0, "[]"},
      {DataType::kInt8, "", 0, "[]"},
      {DataType::kBool, "", 0, "[]"},
      {DataType::kBytes, "", 0, "[]"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(DataTypeName(each.datatype));
    const Result<std::string> data = Data(each.datatype, {each.count}, each.bytes);
    ASSERT_TRUE(data.ok()) << data.status().message();
    EXPECT_EQ(*data, each.json);
  }
}

TEST_F(InferResponseTest, RefusesDataThatJsonCannotCarry) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const struct {
    DataType datatype;
    std::string bytes;
    std::string_view text;
  } cases[] = {
      {DataType::kFp16, std::string(2, '\0'),
       "sending FP16 data via JSON is not supported. Please use the binary data format for output "
       "OUT0"},
      {DataType::kBf16, std::string(2, '\0'), "sending BF16 data via JSON is not supported."},
      {DataType::kFp32, BytesOf<float>({NAN}), "output 'OUT0' holds NaN or infinity"},
      {DataType::kFp32, BytesOf<float>({-kInfinity}), "output 'OUT0' holds NaN or infinity"},
      {DataType::kFp64, BytesOf<double>({HUGE_VAL}), "output 'OUT0' holds NaN or infinity"},
      {DataType::kBytes, StringsOf({"\xFF"}), "output 'OUT0' holds bytes that are not UTF-8"},
      {DataType::kBytes, StringsOf({"\xED\xA0\x80"}), "output 'OUT0' holds bytes that are not"},
  };
  for (const auto& each : cases) {
    const Result<std::string> data = Data(each.datatype, {1}, each.bytes);
    ASSERT_FALSE(data.ok());
    EXPECT_EQ(data.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(data.status().message().substr(0, each.text.size()), each.text);
    const auto request = RequestWith(each.datatype, {1}, each.bytes);
    EXPECT_TRUE(EncodeInfer(*request, request->response, Binary(), TestPool()).ok());
  }
}

TEST_F(InferResponseTest, BlamesTheBackendForDataThatDoesNotMatchItsShape) {
  const struct {
    DataType datatype;
    std::string bytes;
  } cases[] = {
      {DataType::kFp32, "abc"},
      {DataType::kInt8, "abc"},
      {DataType::kBool, ""},
      {DataType::kBytes, StringsOf({"a"})},
      {DataType::kBytes, StringsOf({"a", "b"}).substr(0, 9)},
      {DataType::kBytes, BytesOf<uint32_t>({0xFFFFFFFF})},
  };
  for (const auto& each : cases) {
    const Result<std::string> data = Data(each.datatype, {2}, each.bytes);
    ASSERT_FALSE(data.ok());
    EXPECT_EQ(data.status().code(), Code::kInternal) << data.status().message();
  }
}

TEST_F(InferResponseTest, RefusesParametersThatAreNotFinite) {
  const auto request = NewRequest();
  request->response.parameters = {{.name = "d", .value = std::numeric_limits<double>::quiet_NaN()}};
  const Result<EncodedResponse> encoded = EncodeInfer(*request, request->response, {}, TestPool());
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.status().message(), "response parameter 'd' is not finite, which JSON lacks");
}

TEST_F(InferResponseTest, AnswersWithClassesInTheFormAskedFor) {
  const auto request = RequestWith(DataType::kFp32, {3}, BytesOf<float>({1, 3, 2}));
  OutputPreferences preferences{.listed = {{.index = 0, .binary = false, .classification = 2}}};
  const Result<EncodedResponse> json =
      EncodeInfer(*request, request->response, preferences, TestPool());
  ASSERT_TRUE(json.ok()) << json.status().message();
  EXPECT_EQ(TextOf(json->json), Concat(kHead, R"({"name":"OUT0","datatype":"BYTES","shape":[2],)",
                                       R"("data":["3.000000:1","2.000000:2"]}]})"));
  preferences.listed[0].binary = true;
  const Result<EncodedResponse> binary =
      EncodeInfer(*request, request->response, preferences, TestPool());
  ASSERT_TRUE(binary.ok()) << binary.status().message();
  ASSERT_EQ(binary->tensors.size(), 1U);
  EXPECT_EQ(TextOf(binary->tensors[0]), StringsOf({"3.000000:1", "2.000000:2"}));
}

TEST_F(InferResponseTest, SaysWhenClassesCannotBeGiven) {
  const auto request = RequestWith(DataType::kBool, {1}, "\1");
  const OutputPreferences preferences{.listed = {{.index = 0, .classification = 1}}};
  const Result<EncodedResponse> encoded =
      EncodeInfer(*request, request->response, preferences, TestPool());
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.status().code(), Code::kInvalidArgument);
}

TEST_F(InferResponseTest, SaysWhenThereIsNoMemory) {
  ExhaustedAllocator exhausted;
  const auto request = RequestWith(DataType::kInt8, {1}, "a");
  const Result<EncodedResponse> encoded = EncodeInfer(*request, request->response, {}, exhausted);
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.status().code(), Code::kResourceExhausted);
}

// Whatever a model gives comes back as the same bits from whoever reads the JSON.
template <class Float, class Bits>
std::string RandomFinite(size_t count) {
  std::mt19937_64 random(7);
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    Float value = std::bit_cast<Float>(static_cast<Bits>(random()));
    // Every other one a large integer: those have the longest texts.
    if (i % 2 == 0) value = static_cast<Float>(-static_cast<double>(random() >> (random() % 64)));
    if (!std::isfinite(value)) value = 0;
    out += BytesOf<Float>({value});
  }
  return out;
}

TEST_F(InferResponseTest, WritesFloatsThatReadBackTheSame) {
  constexpr size_t kCount = 100'000;
  const std::string singles = RandomFinite<float, uint32_t>(kCount);
  const std::string doubles = RandomFinite<double, uint64_t>(kCount);
  for (const auto& [datatype, bytes] :
       {std::pair{DataType::kFp32, &singles}, std::pair{DataType::kFp64, &doubles}}) {
    const Result<std::string> data = Data(datatype, {kCount}, *bytes);
    ASSERT_TRUE(data.ok()) << data.status().message();
    const std::string json =
        Concat(R"({"inputs":[{"name":"IN0","datatype":")", DataTypeName(datatype), R"(","shape":[)",
               kCount, R"(],"data":)", *data, "}]}");
    const Result<InferRequest> back =
        ParseInfer(model_.Enter(), BodyOf(json), std::nullopt, NoRegions(), TestPool());
    ASSERT_TRUE(back.ok()) << back.status().message();
    EXPECT_TRUE(TextOf(back->request->inputs[0]->data) == *bytes) << DataTypeName(datatype);
  }
}

}  // namespace
}  // namespace despina::protocol
