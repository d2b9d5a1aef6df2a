#include "protocol/infer_binary.h"

#include <gtest/gtest.h>

#include <string>

#include "base/text.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

TEST(ParseJsonSizeTest, ReadsTheHeader) {
  EXPECT_EQ(**ParseJsonSize("0", 10), 0U);
  EXPECT_EQ(**ParseJsonSize("10", 10), 10U);
  EXPECT_EQ(**ParseJsonSize("007", 10), 7U);
  EXPECT_FALSE((*ParseJsonSize(std::nullopt, 10)).has_value());
}

TEST(ParseJsonSizeTest, RefusesWhatIsNoSizeOfThatBody) {
  const std::string unparsed = "Unable to parse Inference-Header-Content-Length, got: ";
  const std::string range = "inference header size should be in range (0, 10), got: ";
  const struct {
    std::string header;
    std::string text;
  } cases[] = {
      {"abc", unparsed + "abc"},
      {"", unparsed},
      {" 1", unparsed},
      {"+1", unparsed},
      {"1 ", unparsed},
      {"1,1", unparsed},
      {"0x1", unparsed},
      {"1.5", unparsed},
      {"1e9", unparsed},
      {"-1", range + "-1"},
      {"11", range + "11"},
      {"1000000000", range},
      {"9223372036854775808", range + "9223372036854775808"},
      {"99999999999999999999999", range},
      {"-99999999999999999999999", range},
  };
  for (const auto& each : cases) {
    const auto result = ParseJsonSize(each.header, 10);
    ASSERT_FALSE(result.ok()) << each.header;
    EXPECT_EQ(result.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(result.status().message().substr(0, each.text.size()), each.text);
  }
}

struct RawCase {
  DataType datatype;
  Shape dims;
  int64_t max_batch_size;
  std::string body;
};

ModelDefinition ModelOf(const RawCase& raw) {
  return DefinitionOf({TensorOf("IN0", raw.datatype, raw.dims)}, {}, raw.max_batch_size);
}

TEST(RawInputTest, WorksOutTheShape) {
  const struct {
    RawCase raw;
    Shape shape;
  } cases[] = {
      {{DataType::kFp32, {-1}, 0, std::string(12, 'x')}, {3}},
      {{DataType::kFp32, {-1}, 8, std::string(12, 'x')}, {1, 3}},
      {{DataType::kInt16, {2, -1, 3}, 0, std::string(24, 'x')}, {2, 2, 3}},
      {{DataType::kUint8, {-1}, 0, ""}, {0}},
      {{DataType::kUint8, {4}, 2, "abcd"}, {1, 4}},
      // Model::Prepare tells that the size is wrong.
      {{DataType::kUint8, {4}, 0, "abc"}, {4}},
  };
  for (const auto& each : cases) {
    const Result<Tensor> tensor =
        RawInput(ModelOf(each.raw), BodyOf("", each.raw.body), TestPool());
    ASSERT_TRUE(tensor.ok()) << tensor.status().message();
    EXPECT_EQ(tensor->datatype, each.raw.datatype);
    EXPECT_EQ(tensor->shape, each.shape) << ToText(tensor->shape);
    EXPECT_EQ(TextOf(tensor->data), each.raw.body);
  }
}

TEST(RawInputTest, MakesTheBodyOneElementOfBytes) {
  for (const std::string& body : {std::string("a\0b", 3), std::string()}) {
    const Result<Tensor> tensor =
        RawInput(ModelOf({DataType::kBytes, {1}, 4, ""}), BodyOf("", body), TestPool());
    ASSERT_TRUE(tensor.ok()) << tensor.status().message();
    EXPECT_EQ(tensor->shape, (Shape{1, 1}));
    EXPECT_EQ(TextOf(tensor->data), StringsOf({body}));
  }
}

TEST(RawInputTest, RefusesModelsAndSizesWithoutAShape) {
  const std::string refused = "a raw binary request cannot be made to model 'm': ";
  const struct {
    RawCase raw;
    std::string text;
  } cases[] = {
      {{DataType::kFp32, {-1, -1}, 0, "abcd"}, "the shape of input 'IN0' can not be deduced becau"},
      {{DataType::kFp32, {-1}, 0, "abcde"},
       "the shape of input 'IN0' can not be deduced: 5 bytes are not a multiple of 4"},
      {{DataType::kFp32, {0, -1}, 0, "abcd"}, "the shape of input 'IN0' can not be deduced: 4"},
      {{DataType::kFp32, {-1, INT64_MAX}, 0, "abcd"}, "input 'IN0' is too large"},
      {{DataType::kBytes, {-1}, 0, "abcd"}, "BYTES input 'IN0' must have shape [1]"},
      {{DataType::kBytes, {2}, 0, "abcd"}, "BYTES input 'IN0' must have shape [1]"},
  };
  for (const auto& each : cases) {
    const Result<Tensor> tensor =
        RawInput(ModelOf(each.raw), BodyOf("", each.raw.body), TestPool());
    ASSERT_FALSE(tensor.ok());
    EXPECT_EQ(tensor.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(tensor.status().message().substr(0, refused.size() + each.text.size()),
              refused + each.text);
  }
}

TEST(RawInputTest, RefusesModelsWithAnotherNumberOfInputs) {
  for (const ModelDefinition& model : {TwoOf(DataType::kFp32), DefinitionOf({}, {})}) {
    const Result<Tensor> tensor = RawInput(model, BodyOf("", "abcd"), TestPool());
    ASSERT_FALSE(tensor.ok());
    EXPECT_EQ(tensor.status().message(),
              Concat("a raw binary request cannot be made to model 'm': it must have exactly one "
                     "input, but has ",
                     model.inputs.size()));
  }
}

}  // namespace
}  // namespace despina::protocol
