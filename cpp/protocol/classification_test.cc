#include "protocol/classification.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

std::vector<std::string> ElementsOf(const Tensor& tensor) {
  std::vector<std::string> out;
  BytesReader reader(tensor.data.bytes());
  while (const auto element = reader.Next()) {
    out.emplace_back(reinterpret_cast<const char*>(element->data()), element->size());
  }
  EXPECT_TRUE(reader.ok());
  return out;
}

Tensor TensorWith(DataType datatype, const Shape& shape, std::string_view data) {
  return {.datatype = datatype, .shape = shape, .data = SliceOf(data)};
}

class ClassificationTest : public ::testing::Test {
 protected:
  void ExpectClasses(const Tensor& tensor, bool batched, uint32_t count, const Shape& shape,
                     const std::vector<std::string>& elements) {
    const Result<Tensor> classes = Classify(definition_, tensor, batched, count, TestPool());
    ASSERT_TRUE(classes.ok()) << classes.status().message();
    EXPECT_EQ(classes->datatype, DataType::kBytes);
    EXPECT_EQ(classes->shape, shape) << ToText(classes->shape);
    EXPECT_EQ(ElementsOf(*classes), elements);
  }

  TensorDefinition definition_ = TensorOf("OUT0", DataType::kFp32, {-1});
};

TEST_F(ClassificationTest, GivesTheBestWithIndexAndLabel) {
  definition_.labels = {"cat", "dog"};
  const Tensor tensor =
      TensorWith(DataType::kFp32, {4}, BytesOf<float>({0.25F, -1, 3, 1234567.875F}));
  ExpectClasses(tensor, false, 3, {3}, {"1234567.875000:3", "3.000000:2", "0.250000:0:cat"});
}

TEST_F(ClassificationTest, TakesRowsOfABatchApart) {
  const Tensor tensor = TensorWith(DataType::kInt32, {2, 3}, BytesOf<int32_t>({1, 2, 3, 6, -5, 4}));
  ExpectClasses(tensor, true, 2, {2, 2}, {"3:2", "2:1", "6:0", "4:2"});
}

TEST_F(ClassificationTest, FlattensWhatIsNotTheBatch) {
  const Tensor tensor = TensorWith(DataType::kUint8, {2, 2}, BytesOf<uint8_t>({1, 4, 255, 3}));
  ExpectClasses(tensor, false, 2, {2}, {"255:2", "4:1"});
  const Tensor deep = TensorWith(DataType::kUint8, {1, 2, 2}, BytesOf<uint8_t>({1, 4, 255, 3}));
  ExpectClasses(deep, true, 1, {1, 1}, {"255:2"});
}

TEST_F(ClassificationTest, GivesAllWhereThereAreFewer) {
  const Tensor tensor = TensorWith(DataType::kInt8, {2}, BytesOf<int8_t>({-1, -2}));
  ExpectClasses(tensor, false, std::numeric_limits<uint32_t>::max(), {2}, {"-1:0", "-2:1"});
}

TEST_F(ClassificationTest, OrdersEqualScoresByIndexAndPutsNanLast) {
  const Tensor tensor =
      TensorWith(DataType::kFp64, {5}, BytesOf<double>({NAN, 1, NAN, 1, -HUGE_VAL}));
  ExpectClasses(tensor, false, 5, {5}, {"1.000000:1", "1.000000:3", "-inf:4", "nan:0", "nan:2"});
}

TEST_F(ClassificationTest, WritesTheLargestNumbers) {
  const double largest = std::numeric_limits<double>::max();
  const Tensor tensor = TensorWith(DataType::kFp64, {1}, BytesOf<double>({-largest}));
  ExpectClasses(tensor, false, 1, {1}, {std::to_string(-largest) + ":0"});
}

TEST_F(ClassificationTest, TakesTensorsWithoutElements) {
  ExpectClasses(TensorWith(DataType::kFp32, {0}, ""), false, 3, {0}, {});
  ExpectClasses(TensorWith(DataType::kFp32, {0, 5}, ""), true, 3, {0, 0}, {});
  ExpectClasses(TensorWith(DataType::kFp32, {5, 0}, ""), true, 3, {5, 0}, {});
}

TEST_F(ClassificationTest, RefusesDatatypesWithoutScores) {
  for (const auto& [datatype, name] :
       {std::pair{DataType::kBytes, "BYTES"}, std::pair{DataType::kBool, "BOOL"},
        std::pair{DataType::kFp16, "FP16"}, std::pair{DataType::kBf16, "BF16"}}) {
    const Result<Tensor> classes =
        Classify(definition_, TensorWith(datatype, {1}, "\1\0"), false, 1, TestPool());
    ASSERT_FALSE(classes.ok());
    EXPECT_EQ(classes.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(classes.status().message(),
              Concat("class result not available for output 'OUT0' due to unsupported type '", name,
                     "'"));
  }
}

TEST_F(ClassificationTest, RefusesHugeTensors) {
  const std::string data(kMaxClassificationElements + 1, '\0');
  const auto count = static_cast<int64_t>(data.size());
  const Result<Tensor> classes =
      Classify(definition_, TensorWith(DataType::kInt8, {count}, data), false, 1, TestPool());
  ASSERT_FALSE(classes.ok());
  EXPECT_EQ(classes.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(classes.status().message(),
            "class result not available for output 'OUT0': it has 1000001 elements, more than "
            "1000000");
  const Tensor largest = TensorWith(DataType::kInt8, {count - 1}, data.substr(1));
  EXPECT_TRUE(Classify(definition_, largest, false, 1'000'000, TestPool()).ok());
}

TEST_F(ClassificationTest, BlamesTheBackendForDataThatDoesNotMatchItsShape) {
  const Result<Tensor> classes =
      Classify(definition_, TensorWith(DataType::kFp32, {4}, "abcd"), false, 4, TestPool());
  ASSERT_FALSE(classes.ok());
  EXPECT_EQ(classes.status().code(), Code::kInternal);
}

TEST_F(ClassificationTest, SaysWhenThereIsNoMemory) {
  ExhaustedAllocator exhausted;
  const Result<Tensor> classes =
      Classify(definition_, TensorWith(DataType::kInt8, {1}, "a"), false, 1, exhausted);
  ASSERT_FALSE(classes.ok());
  EXPECT_EQ(classes.status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace despina::protocol
