#include "bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace vision {
namespace {

const Bytes kFive(std::string_view("\x01\x02\x03\x04\xff", 5));

TEST(Bytes, IntegersOfBothOrders) {
  EXPECT_EQ(kFive.U16(0, ByteOrder::kBig), 0x0102);
  EXPECT_EQ(kFive.U16(0, ByteOrder::kLittle), 0x0201);
  EXPECT_EQ(kFive.U24(1, ByteOrder::kLittle), 0x040302U);
  EXPECT_EQ(kFive.U32(1, ByteOrder::kBig), 0x020304FFU);
}

TEST(Bytes, NothingIsReadBeyondTheEnd) {
  constexpr size_t kMost = std::numeric_limits<size_t>::max();
  EXPECT_EQ(kFive[4], 0xFF);
  EXPECT_THROW(kFive[5], OutOfBounds);
  EXPECT_THROW(kFive[kMost], OutOfBounds);
  EXPECT_THROW(kFive.U32(2, ByteOrder::kBig), OutOfBounds);
  EXPECT_THROW(kFive.U32(kMost - 1, ByteOrder::kBig), OutOfBounds);
  EXPECT_THROW(kFive.Part(1, 5), OutOfBounds);
  EXPECT_THROW(kFive.Part(3, kMost), OutOfBounds);
  EXPECT_EQ(kFive.Part(5, 0).size(), 0U);
  EXPECT_FALSE(kFive.StartsWith("x", 5));
  EXPECT_FALSE(kFive.StartsWith("x", kMost));
}

}  // namespace
}  // namespace vision
