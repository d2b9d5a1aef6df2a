#include "exif.h"

namespace vision {

namespace {

constexpr uint16_t kOrientation = 0x0112;
constexpr uint16_t kShort = 3;
constexpr size_t kEntryBytes = 12;

int Find(Bytes tiff, ByteOrder order) {
  const size_t directory = tiff.U32(4, order);
  const size_t entries = tiff.U16(directory, order);
  for (size_t i = 0; i < entries; ++i) {
    const size_t at = directory + 2 + i * kEntryBytes;
    if (tiff.U16(at, order) != kOrientation || tiff.U16(at + 2, order) != kShort ||
        tiff.U32(at + 4, order) != 1) {
      continue;
    }
    const int value = tiff.U16(at + 8, order);
    return 1 <= value && value <= 8 ? value : 1;
  }
  return 1;
}

}  // namespace

int ExifOrientation(Bytes tiff) {
  using namespace std::string_view_literals;
  try {
    if (tiff.StartsWith("II*\0"sv)) return Find(tiff, ByteOrder::kLittle);
    if (tiff.StartsWith("MM\0*"sv)) return Find(tiff, ByteOrder::kBig);
  } catch (const OutOfBounds&) {
    // It is damaged.
  }
  return 1;
}

}  // namespace vision
