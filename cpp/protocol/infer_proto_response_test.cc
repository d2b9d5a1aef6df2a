#include "protocol/infer_proto_response.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "base/testing/address_space.h"
#include "protocol/infer_proto_test_support.h"

namespace despina::protocol {
namespace {

// What goes over the wire.
std::string Joined(const EncodedMessage& message) {
  std::string out;
  std::string text = TextOf(message.text);
  for (const auto& [text_bytes, data] : message.pieces) {
    EXPECT_LE(text_bytes, text.size());
    out += text.substr(0, text_bytes) + TextOf(data);
    text.erase(0, text_bytes);
  }
  EXPECT_EQ(text, "") << "pieces leave text out";
  EXPECT_EQ(out.size(), message.size());
  return out;
}

class InferProtoResponseTest : public ::testing::Test {
 protected:
  InferProtoResponseTest() {
    request_->id = "7";
    response_.outputs = {{0, {DataType::kUint8, {3}, SliceOf("abc")}},
                         {1, {DataType::kFp32, {1, 200, 0}, {}}}};
  }

  Result<EncodedMessage> Encode(InferForm form = InferForm::kUnary, bool final = false,
                                const OutputPreferences& preferences = {}) {
    return EncodeInferProto(*request_, response_, preferences, form, final, allocator_);
  }

  CountingAllocator allocator_;
  TestModel model_{TwoOf(DataType::kUint8)};
  std::unique_ptr<Request> request_ = std::make_unique<Request>(model_.Enter());
  Response response_;
};

// Made by the protobuf library of Python, from the same values.
TEST_F(InferProtoResponseTest, WritesWhatAnotherLibraryWrites) {
  response_.parameters = {{"p", 0.5}};
  Result<EncodedMessage> encoded = Encode();
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded),
            FromHex("0a016d1201311a0137220e0a0170120921000000000000e03f2a100a044f555430120555494e54"
                    "381a01032a120a044f5554311204465033321a0401c8010032036162633200"));
  response_.parameters.clear();
  encoded = Encode(InferForm::kStream);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded),
            FromHex("12530a016d1201311a0137221b0a15747269746f6e5f66696e616c5f726573706f6e7365120208"
                    "002a100a044f555430120555494e54381a01032a120a044f5554311204465033321a0401c80100"
                    "32036162633200"));
  encoded = EncodeStreamError("7", "no");
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded), FromHex("0a026e6f12031a0137"));
}

TEST_F(InferProtoResponseTest, WritesParametersOfEveryType) {
  response_.outputs.clear();
  response_.parameters = {{"b", true}, {"i", int64_t{-3}}, {"d", 2.5}, {"s", std::string("x")}};
  const Result<EncodedMessage> encoded = Encode();
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded),
            Concat(Field(1, "m"), Field(2, "1"), Field(3, "7"),
                   RequestParameter("b", BoolValue(true)), RequestParameter("i", IntValue(-3)),
                   RequestParameter("d", DoubleValue(2.5)), RequestParameter("s", TextValue("x"))));
}

TEST_F(InferProtoResponseTest, TensorsAreSentFromWhereTheyLie) {
  response_.outputs[1] = {1, {DataType::kUint8, {2}, SliceOf("de")}};
  const Result<EncodedMessage> encoded = Encode();
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  ASSERT_EQ(encoded->pieces.size(), 2U);
  EXPECT_EQ(encoded->pieces[0].data.data(), response_.outputs[0].tensor.data.data());
  EXPECT_EQ(encoded->pieces[1].data.data(), response_.outputs[1].tensor.data.data());
  EXPECT_EQ(encoded->pieces[1].text_bytes, 2U);
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferProtoResponseTest, AStreamSaysWhetherAResponseIsTheLast) {
  response_.outputs.clear();
  request_->id.clear();
  const Result<EncodedMessage> encoded = Encode(InferForm::kStream, true);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded),
            Field(2, Concat(Field(1, "m"), Field(2, "1"),
                            RequestParameter("triton_final_response", BoolValue(true)))));
}

TEST_F(InferProtoResponseTest, LeavesOutOutputsThatWereNotAskedFor) {
  const Result<EncodedMessage> encoded =
      Encode(InferForm::kUnary, false, {.listed = {{.index = 0}}});
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded), Concat(Field(1, "m"), Field(2, "1"), Field(3, "7"),
                                     Input("OUT0", "UINT8", {3}), Field(6, "abc")));
}

TEST_F(InferProtoResponseTest, GivesClassesInPlaceOfTheTensor) {
  const OutputPreferences preferences{.listed = {{.index = 0, .classification = 1}}};
  const Result<EncodedMessage> encoded = Encode(InferForm::kUnary, false, preferences);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded), Concat(Field(1, "m"), Field(2, "1"), Field(3, "7"),
                                     Input("OUT0", "BYTES", {1}), Field(6, StringsOf({"99:2"}))));
  response_.outputs[0].tensor.datatype = DataType::kBytes;
  EXPECT_EQ(Encode(InferForm::kUnary, false, preferences).status().code(), Code::kInvalidArgument);
}

TEST_F(InferProtoResponseTest, AScalarHasNoShape) {
  response_.outputs = {{0, {DataType::kUint8, {}, SliceOf("a")}}};
  const Result<EncodedMessage> encoded = Encode();
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_NE(Joined(*encoded).find(Field(5, Field(1, "OUT0") + Field(2, "UINT8"))),
            std::string::npos);
}

TEST_F(InferProtoResponseTest, TextThatClientsCouldNotReadIsReplaced) {
  response_.outputs.clear();
  response_.parameters = {{"n\xFF", std::string("v\xFF")}};
  Result<EncodedMessage> encoded = Encode();
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  const std::string replaced = RequestParameter("n\xEF\xBF\xBD", TextValue("v\xEF\xBF\xBD"));
  EXPECT_NE(Joined(*encoded).find(replaced), std::string::npos);
  encoded = EncodeStreamError("", "why\xFF");
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(Joined(*encoded), Field(1, "why\xEF\xBF\xBD") + Field(2, ""));
}

TEST_F(InferProtoResponseTest, WhatDoesNotFitIntoAMessageIsRefused) {
  // Never looked at: it is sent from where it lies.
  const std::byte first{};
  const auto size = static_cast<size_t>(std::numeric_limits<int32_t>::max()) - 10;
  response_.outputs[0].tensor.data = Slice({}, {&first, size});
  const Result<EncodedMessage> encoded = Encode();
  EXPECT_EQ(encoded.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(allocator_.count(), 0U);
}

TEST_F(InferProtoResponseTest, NoMemoryIsResourceExhausted) {
  ExhaustedAllocator exhausted;
  const OutputPreferences classes{.listed = {{.index = 0, .classification = 1}}};
  EXPECT_EQ(EncodeInferProto(*request_, response_, classes, InferForm::kUnary, true, exhausted)
                .status()
                .code(),
            Code::kResourceExhausted);
}

TEST_F(InferProtoResponseTest, NoMemoryForItsTextIsResourceExhausted) {
#ifdef DESPINA_SANITIZED
  GTEST_SKIP() << "sanitizers need more address space than this test leaves";
#endif
  const std::string why(size_t{64} << 20, 'x');
  std::optional<despina::testing::LittleAddressSpace> little(why.size() / 2);
  ASSERT_TRUE(little->limited());
  const Result<EncodedMessage> encoded = EncodeStreamError("7", why);
  little.reset();
  ASSERT_FALSE(encoded.ok());
  EXPECT_EQ(encoded.status().code(), Code::kResourceExhausted);
  EXPECT_EQ(encoded.status().message(),
            Concat("no memory for a response of ", why.size() + 10, " bytes"));
}

}  // namespace
}  // namespace despina::protocol
