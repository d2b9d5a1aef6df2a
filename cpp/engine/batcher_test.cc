#include "engine/batcher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using testing::Bytes;
using testing::Floats;
using testing::FloatsOf;
using testing::Fp32;
using testing::Memory;
using testing::Strings;
using testing::StringsOf;

Tensor With(const Tensor& whole, const Shape& shape, const Slice& data) {
  return {whole.datatype, shape, data};
}

TEST(ConcatenateRows, PutsRowsOneAfterTheOtherInAlignedMemory) {
  const Tensor first = Floats({1, 2}, {1, 2});
  const Tensor second = Floats({2, 2}, {3, 4, 5, 6});
  const Tensor* parts[] = {&first, &second};
  const Result<Tensor> whole = ConcatenateRows(parts, Memory());
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->shape, (Shape{3, 2}));
  EXPECT_EQ(FloatsOf(*whole), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(whole->data.aligned());
}

TEST(ConcatenateRows, KeepsStringsAndTensorsWithoutElements) {
  const Tensor one = Strings({1, 1}, {"a long one"});
  const Tensor two = Strings({2, 1}, {"", "b"});
  const Tensor* strings[] = {&one, &two};
  const Result<Tensor> whole = ConcatenateRows(strings, Memory());
  EXPECT_EQ(StringsOf(*whole), (std::vector<std::string>{"a long one", "", "b"}));
  EXPECT_EQ(whole->datatype, DataType::kBytes);

  const Tensor none{.datatype = DataType::kFp32, .shape = {2, 0}, .data = {}};
  const Tensor* empty[] = {&none, &none};
  const Result<Tensor> nothing = ConcatenateRows(empty, Memory());
  EXPECT_EQ(nothing->shape, (Shape{4, 0}));
  EXPECT_TRUE(nothing->data.empty());
}

TEST(SplitRows, GivesSlicesOfTheSameBuffer) {
  const Tensor whole = Floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const std::vector<Slice> parts = SplitRows(whole, std::vector<uint32_t>{1, 2, 1});
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(FloatsOf(With(whole, {1, 2}, parts[0])), (std::vector<float>{1, 2}));
  EXPECT_EQ(FloatsOf(With(whole, {2, 2}, parts[1])), (std::vector<float>{3, 4, 5, 6}));
  EXPECT_EQ(FloatsOf(With(whole, {1, 2}, parts[2])), (std::vector<float>{7, 8}));
  for (const Slice& part : parts) EXPECT_EQ(part.buffer().data(), whole.data.data());
}

TEST(SplitRows, FindsTheRowsOfStrings) {
  const Tensor whole = Strings({3, 2}, {"a", "", "ccc", "d", "ee", "f"});
  const std::vector<Slice> parts = SplitRows(whole, std::vector<uint32_t>{2, 1});
  EXPECT_EQ(StringsOf(With(whole, {2, 2}, parts[0])),
            (std::vector<std::string>{"a", "", "ccc", "d"}));
  EXPECT_EQ(StringsOf(With(whole, {1, 2}, parts[1])), (std::vector<std::string>{"ee", "f"}));
}

TEST(SplitRows, RowsWithoutElementsAreEmpty) {
  for (const DataType datatype : {DataType::kFp32, DataType::kBytes}) {
    const Tensor whole{.datatype = datatype, .shape = {3, 0}, .data = {}};
    for (const Slice& part : SplitRows(whole, std::vector<uint32_t>{1, 2})) {
      EXPECT_TRUE(part.empty());
    }
  }
}

class CheckOutputTest : public ::testing::Test {
 protected:
  std::string Refusal(const Tensor& tensor, std::optional<uint32_t> rows) {
    const Status status = CheckOutput(model_, output_, tensor, rows);
    EXPECT_TRUE(status.ok() || status.code() == Code::kInternal);
    return status.message();
  }

  ModelDefinition model_ = testing::Definition("m", 8);
  TensorDefinition output_ = Fp32("OUT", {2, -1});
};

TEST_F(CheckOutputTest, AcceptsWhatTheDefinitionSays) {
  EXPECT_EQ(Refusal(Floats({2, 1}, {1, 2}), std::nullopt), "");
  EXPECT_EQ(Refusal(Floats({3, 2, 1}, std::vector<float>(6)), 3), "");
  EXPECT_EQ(Refusal(Floats({3, 2, 0}, {}), 3), "");
  output_.reshape = Shape{-1};
  EXPECT_EQ(Refusal(Floats({1, 4}, std::vector<float>(4)), 1), "");
}

TEST_F(CheckOutputTest, NamesWhatIsWrong) {
  Tensor other = Floats({2, 1}, {1, 2});
  other.datatype = DataType::kInt32;
  EXPECT_EQ(Refusal(other, std::nullopt),
            "output 'OUT' of model 'm' is INT32, the configuration says FP32");
  EXPECT_EQ(Refusal(Floats({2, 2, 1}, std::vector<float>(4)), 3),
            "output 'OUT' of model 'm' has shape [2,2,1], but the batch has 3 rows");
  EXPECT_EQ(Refusal(Floats({}, {1}), 3),
            "output 'OUT' of model 'm' has shape [], but the batch has 3 rows");
  EXPECT_EQ(Refusal(Floats({1, 3, 1}, std::vector<float>(3)), 1),
            "output 'OUT' of model 'm' has shape [1,3,1], the configuration says [-1,2,-1]");
  EXPECT_EQ(Refusal(Floats({2}, {1, 2}), std::nullopt),
            "output 'OUT' of model 'm' has shape [2], the configuration says [2,-1]");
  EXPECT_EQ(Refusal(Floats({2, 2}, {1, 2}), std::nullopt),
            "output 'OUT' of model 'm' has 8 bytes, which shape [2,2] does not hold");
  EXPECT_EQ(Refusal(Floats({2, -1}, {}), std::nullopt),
            "output 'OUT' of model 'm' has 0 bytes, which shape [2,-1] does not hold");
}

TEST_F(CheckOutputTest, CountsStrings) {
  output_.datatype = DataType::kBytes;
  EXPECT_EQ(Refusal(Strings({2, 1}, {"a", ""}), std::nullopt), "");
  EXPECT_EQ(Refusal(Strings({2, 1}, {"a"}), std::nullopt),
            "output 'OUT' of model 'm' has 1 string elements, which shape [2,1] does not hold");
  EXPECT_EQ(Refusal({DataType::kBytes, {2, 1}, Bytes("\1")}, std::nullopt),
            "output 'OUT' of model 'm' has cut off string elements, which shape [2,1] does not "
            "hold");
}

TEST(ClientShape, UndoesTheReshape) {
  TensorDefinition output = Fp32("OUT", {-1, 4});
  EXPECT_EQ(ClientShape(output, {3, 5, 4}, true), (Shape{3, 5, 4}));
  output.reshape = Shape{2, 2, -1};
  EXPECT_EQ(ClientShape(output, {3, 2, 2, 5}, true), (Shape{3, 5, 4}));
  EXPECT_EQ(ClientShape(output, {2, 2, 5}, false), (Shape{5, 4}));
}

}  // namespace
}  // namespace despina
