#include "engine/tensor.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "engine/testing.h"

namespace despina {
namespace {

using testing::Bytes;
using testing::Strings;
using testing::StringsOf;

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

TEST(DataType, NamesAndSizesAreThoseOfTheProtocol) {
  const std::pair<std::string, size_t> expected[] = {
      {"BOOL", 1}, {"UINT8", 1}, {"UINT16", 2}, {"UINT32", 4}, {"UINT64", 8},
      {"INT8", 1}, {"INT16", 2}, {"INT32", 4},  {"INT64", 8},  {"FP16", 2},
      {"FP32", 4}, {"FP64", 8},  {"BYTES", 0},  {"BF16", 2}};
  ASSERT_EQ(std::size(expected), kDataTypes);
  for (size_t i = 0; i < kDataTypes; ++i) {
    const auto datatype = static_cast<DataType>(i);
    EXPECT_EQ(DataTypeName(datatype), expected[i].first);
    EXPECT_EQ(ElementSize(datatype), expected[i].second);
    EXPECT_EQ(ParseDataType(expected[i].first), datatype);
  }
  using std::string_view_literals::operator""sv;
  for (const auto name : {""sv, "fp32"sv, "FP32 "sv, "STRING"sv, "FP32FP32"sv, "TYPE_FP32"sv,
                          "\0FP32"sv, "FP32\0"sv}) {
    EXPECT_EQ(ParseDataType(name), std::nullopt) << name;
  }
}

TEST(Shape, GainsAndLosesAxes) {
  const Shape shape{2, 3};
  EXPECT_EQ(shape.WithFirst(-1), (Shape{-1, 2, 3}));
  EXPECT_EQ(shape.WithoutFirst(), Shape{3});
  EXPECT_EQ(Shape{7}.WithoutFirst(), Shape{});
  EXPECT_NE(Shape{2}, (Shape{2, 0}));
  EXPECT_EQ(ToText(Shape{2, -1, 3}), "[2,-1,3]");
  EXPECT_EQ(ToText(Shape{}), "[]");
}

TEST(Shape, HasRoomForSoManyAxesAndNoMore) {
  Shape shape;
  for (size_t i = 0; i < Shape::kMaxRank; ++i) EXPECT_TRUE(shape.Append(1));
  EXPECT_FALSE(shape.Append(1));
  EXPECT_EQ(shape.rank(), Shape::kMaxRank);
}

TEST(ElementCount, IsTheProductOfTheAxes) {
  EXPECT_EQ(ElementCount(Shape{}), 1u);
  EXPECT_EQ(ElementCount(Shape{2, 3, 4}), 24u);
  EXPECT_EQ(ElementCount(Shape{5, 0}), 0u);
  EXPECT_EQ(ElementCount(Shape{kHuge, 2}), uint64_t{2} * kHuge);
}

TEST(ElementCount, RefusesWhatOverflowsOrIsNegative) {
  EXPECT_EQ(ElementCount(Shape{kHuge, 3}), std::nullopt);
  EXPECT_EQ(ElementCount(Shape{int64_t{1} << 32, int64_t{1} << 32}), std::nullopt);
  EXPECT_EQ(ElementCount(Shape{2, -1}), std::nullopt);
  EXPECT_EQ(ElementCount(Shape{std::numeric_limits<int64_t>::min()}), std::nullopt);
}

TEST(ByteSize, CountsBytesAndRefusesWhatOverflows) {
  EXPECT_EQ(ByteSize(DataType::kFp32, Shape{2, 3}), 24u);
  EXPECT_EQ(ByteSize(DataType::kFp16, Shape{0, 3}), 0u);
  EXPECT_EQ(ByteSize(DataType::kUint8, Shape{kHuge}), uint64_t{kHuge});
  EXPECT_EQ(ByteSize(DataType::kFp64, Shape{int64_t{1} << 61}), std::nullopt);
  EXPECT_EQ(ByteSize(DataType::kBytes, Shape{1}), std::nullopt);
}

TEST(Fits, ComparesAxesThatAreNotOpen) {
  EXPECT_TRUE(Fits(Shape{}, Shape{}));
  EXPECT_TRUE(Fits(Shape{5, 3}, Shape{-1, 3}));
  EXPECT_TRUE(Fits(Shape{0}, Shape{-1}));
  EXPECT_FALSE(Fits(Shape{5, 4}, Shape{-1, 3}));
  EXPECT_FALSE(Fits(Shape{5}, Shape{-1, -1}));
  EXPECT_FALSE(Fits(Shape{1, 5}, Shape{5}));
}

TEST(Reshaped, FillsOpenAxesInOrder) {
  EXPECT_EQ(Reshaped(Shape{6}, Shape{6}, Shape{2, 3}, false), (Shape{2, 3}));
  EXPECT_EQ(Reshaped(Shape{1}, Shape{1}, Shape{}, false), Shape{});
  EXPECT_EQ(Reshaped(Shape{9, 1}, Shape{1}, Shape{}, true), Shape{9});
  EXPECT_EQ(Reshaped(Shape{8, 7, 4, 5}, Shape{-1, 4, -1}, Shape{2, -1, 2, -1}, true),
            (Shape{8, 2, 7, 2, 5}));
  EXPECT_EQ(Reshaped(Shape{3, 5}, Shape{3, -1}, Shape{-1, 3}, false), (Shape{5, 3}));
}

TEST(BytesReader, ReadsElementsOneAfterTheOther) {
  const Tensor tensor = Strings(Shape{3}, {"pose", "", std::string("\0x", 2)});
  EXPECT_EQ(StringsOf(tensor), (std::vector<std::string>{"pose", "", std::string("\0x", 2)}));
  EXPECT_EQ(CountElements(tensor.data.bytes()), 3u);
  EXPECT_EQ(CountElements({}), 0u);
}

TEST(BytesReader, StopsWhereTheLengthIsCutOff) {
  const Slice data = Bytes(std::string_view("\1\0\0\0a\1\0", 7));
  BytesReader reader(data.bytes());
  EXPECT_TRUE(reader.Next());
  EXPECT_FALSE(reader.Next());
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.remaining(), 2u);
  EXPECT_EQ(CountElements(data.bytes()), std::nullopt);
}

TEST(BytesReader, StopsWhereTheLengthPromisesMoreThanThereIs) {
  for (const std::string_view text :
       {std::string_view("\2\0\0\0a", 5), std::string_view("\xff\xff\xff\xff"
                                                           "abcd",
                                                           8)}) {
    const Slice data = Bytes(text);
    BytesReader reader(data.bytes());
    EXPECT_FALSE(reader.Next());
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.remaining(), text.size());
  }
}

}  // namespace
}  // namespace despina
