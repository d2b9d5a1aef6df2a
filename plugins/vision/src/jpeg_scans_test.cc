#include "jpeg_scans.h"

#include <gtest/gtest.h>

#include <string>

namespace vision {
namespace {

using namespace std::string_literals;

// A scan of one component: the spectral selection, the bits, and data with a stuffed zero and a
// restart marker in it.
std::string Scan(char first, char last, char bits, char component = 1) {
  return "\xff\xda\0\x08\x01"s + component + '\0' + first + last + bits + "data\xff\0\xff\xd0more"s;
}

// With a frame of three components, 1 to 3.
const std::string kStart =
    "\xff\xd8\xff\xc2\0\x11\x08\0\x10\0\x10\x03\x01\x22\0\x02\x11\x01\x03\x11\x01"s;
const std::string kEnd = "\xff\xd9 behind it"s;
const std::string kTable = "\xff\xc4\0\x04xy"s;

// What is left; empty where there was nothing to leave out.
std::string Coarse(const std::string& file) {
  std::vector<uint8_t> kept;
  const bool any = LeaveOutFinestScans(Bytes(file), &kept);
  EXPECT_EQ(any, !kept.empty());
  return {kept.begin(), kept.end()};
}

TEST(JpegScans, TheLastBitOfCoefficientsIsLeftOut) {
  const std::string first = Scan(1, 63, 0x21), last = Scan(1, 63, 0x10);
  EXPECT_EQ(Coarse(kStart + first + last + kTable + first + kEnd),
            kStart + first + kTable + first + kEnd);
  EXPECT_EQ(Coarse(kStart + first + kTable + last + last + kEnd), kStart + first + kTable + kEnd);
}

TEST(JpegScans, ColoursAreKept) {
  EXPECT_EQ(Coarse(kStart + Scan(1, 63, 0x10, 2) + Scan(1, 63, 0x10, 3) + kEnd), "");
}

TEST(JpegScans, ConstantPartsAreKeptAndFirstPasses) {
  EXPECT_EQ(Coarse(kStart + Scan(0, 0, 0x10) + Scan(1, 63, 0x00) + Scan(1, 63, 0x01) + kEnd), "");
}

TEST(JpegScans, NothingIsCopiedOfASequentialFile) {
  EXPECT_EQ(Coarse(kStart + Scan(0, 63, 0) + kEnd), "");
}

}  // namespace
}  // namespace vision
