#include <string>
#include <vector>

#include "memory/testing/shared_object.h"
#include "protocol/infer_proto_response.h"
#include "protocol/infer_proto_test_support.h"

namespace despina::protocol {
namespace {

// A region "r" of 100 bytes, in an object where it begins at byte 8.
class InferProtoSharedTest : public InferProtoTest {
 protected:
  InferProtoSharedTest() { EXPECT_TRUE(regions_.Register({"r", object_.key(), 8, 100}).ok()); }

  static std::string Region(std::string_view value) { return Named("region", value); }
  static std::string Offset(std::string_view value) { return Named("offset", value); }
  static std::string Size(std::string_view value) { return Named("byte_size", value); }
  static std::string In(std::string_view parameters) {
    return Input("IN0", "UINT8", {4}, parameters);
  }

  testing::SharedObject object_{200};

 private:
  static std::string Named(std::string_view name, std::string_view value) {
    return TensorParameter(Concat("shared_memory_", name), value);
  }
};

TEST_F(InferProtoSharedTest, AnInputComesFromARegionAndTheOthersFromTheMessage) {
  object_.Put("wxyz", 8 + 10);
  Result<InferRequest> infer =
      Parse(Concat(In(Region(TextValue("r")) + Offset(IntValue(10)) + Size(IntValue(4)) +
                      TensorParameter("unknown", BoolValue(true))),
                   Input("IN1", "UINT8", {2}), Raw("ab")));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  EXPECT_EQ(infer->shared_bytes(), 4U);
  EXPECT_TRUE(infer->request->inputs[0]->data.empty()) << "it is read when that has been charged";
  EXPECT_EQ(TextOf(infer->request->inputs[1]->data), "ab");
  ASSERT_TRUE(ReadSharedInputs(*infer, allocator_).ok());
  EXPECT_EQ(TextOf(infer->request->inputs[0]->data), "wxyz");
}

TEST_F(InferProtoSharedTest, WhatDoesNotNameAPlaceIsRefused) {
  const std::string r = Region(TextValue("r"));
  const auto of_tensor = [](std::string_view text) {
    return Concat(text, " parameter for tensor 'IN0'");
  };
  const auto wrong_type = [](std::string_view name, std::string_view expected) {
    return Concat("invalid value type for '", name, "' parameter for tensor 'IN0', expected ",
                  expected, ".");
  };
  const std::string no_region = "' can not be specified without 'shared_memory_region'";
  const std::string beyond = "Invalid offset + byte size for shared memory region: 'r'";
  const std::vector<ProtoRefusal> refusals = {
      {In(Region(TextValue("nope")) + Size(IntValue(4))),
       "Unable to find shared memory region: 'nope'", Code::kNotFound},
      {In(r),
       of_tensor("'shared_memory_byte_size' must be specified along with 'shared_memory_region'")},
      {In(Region(IntValue(1)) + Size(IntValue(4))),
       wrong_type("shared_memory_region", "string_param")},
      {In(r + Size(TextValue("4"))), wrong_type("shared_memory_byte_size", "int64_param")},
      {In(r + Size(UnsignedValue(4))), wrong_type("shared_memory_byte_size", "int64_param")},
      {In(r + Size(IntValue(4)) + Offset(UnsignedValue(1))),
       wrong_type("shared_memory_offset", "int64_param")},
      {In(r + Size(IntValue(-1))), beyond},
      {In(r + Size(IntValue(101))), beyond},
      {In(r + Size(IntValue(4)) + Offset(IntValue(98))), beyond},
      {In(r + Size(IntValue(4)) + Offset(IntValue(-1))),
       "Invalid offset for shared memory region: 'r'"},
      {In(Offset(IntValue(1))), of_tensor("'shared_memory_offset" + no_region)},
      {In(Size(IntValue(1))) + Raw("abcd"), of_tensor("'shared_memory_byte_size" + no_region)},
      {In(r + Size(IntValue(4)) + Contents(Packed(4, {1, 2, 3, 4}))),
       "unexpected 'content' provided when using shared memory for input tensor 'IN0' for model "
       "'m'"},
      {In(r + Size(IntValue(4))) + Raw("abcd"), "unexpected additional input data for model 'm'"},
  };
  for (const ProtoRefusal& refusal : refusals) ExpectRefused(refusal);
}

// Parameters of outputs have another number than those of inputs.
std::string OutputAt(int64_t offset, int64_t size, std::string_view more = "") {
  const auto parameter = [](std::string_view name, std::string_view value) {
    return Field(2, Entry(Concat("shared_memory_", name), value));
  };
  return Field(6, Concat(Field(1, "OUT0"), parameter("region", TextValue("r")),
                         parameter("offset", IntValue(offset)),
                         parameter("byte_size", IntValue(size)), more));
}

TEST_F(InferProtoSharedTest, AnOutputGoesToARegionAndLeavesAnEmptyPlace) {
  const Result<InferRequest> infer = Parse(OutputAt(96, 4) + Output("OUT1"));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  Response response;
  response.outputs = {{0, {DataType::kUint8, {4}, SliceOf("abcd")}},
                      {1, {DataType::kUint8, {2}, SliceOf("ef")}}};
  const auto encoded = EncodeInferProto(*infer->request, response, infer->preferences,
                                        InferForm::kUnary, true, allocator_);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  EXPECT_EQ(object_.Get(8 + 96, 4), "abcd");
  ASSERT_EQ(encoded->pieces.size(), 1U);
  EXPECT_EQ(TextOf(encoded->pieces[0].data), "ef");
  const std::string end = Field(6, "") + "\x32\x02";
  EXPECT_EQ(TextOf(encoded->text).substr(encoded->text.size() - end.size()), end);
}

TEST_F(InferProtoSharedTest, AnOutputThatIsTooLargeIsNotWritten) {
  const Result<InferRequest> infer = Parse(OutputAt(0, 3));
  ASSERT_TRUE(infer.ok()) << infer.status().message();
  Response response;
  response.outputs = {{0, {DataType::kUint8, {4}, SliceOf("abcd")}}};
  const auto encoded = EncodeInferProto(*infer->request, response, infer->preferences,
                                        InferForm::kUnary, true, allocator_);
  EXPECT_EQ(encoded.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(object_.Get(8, 4), std::string(4, '\0'));
}

TEST_F(InferProtoSharedTest, AnOutputCannotBeClassesInARegion) {
  ExpectRefused({OutputAt(0, 3, Field(2, Entry("classification", IntValue(1)))),
                 "Output can't set both 'shared_memory_region' and 'classification' for output "
                 "'OUT0'"});
}

}  // namespace
}  // namespace despina::protocol
