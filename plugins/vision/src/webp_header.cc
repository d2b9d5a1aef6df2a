// WebP's container: RIFF, whose chunks have a name, a length and that many bytes, padded to even.
#include <string_view>

#include "exif.h"
#include "image_header.h"

namespace vision {

namespace {

constexpr auto kLittle = ByteOrder::kLittle;

// From the first chunk: lossy, lossless or extended.
ImageHeader SizedByFirstChunk(Bytes data, const Limits& limits) {
  const auto sized = [&](int64_t width, int64_t height) {
    return Sized(Format::kWebp, width, height, limits);
  };
  if (data.StartsWith("VP8 ", 12)) {
    const uint16_t width = data.U16(26, kLittle), height = data.U16(28, kLittle);
    if (!data.StartsWith("\x9d\x01\x2a", 23)) {
      throw Malformed(Format::kWebp, "its frame does not begin with the start code");
    }
    return sized(width & 0x3FFF, height & 0x3FFF);
  }
  if (data.StartsWith("VP8L", 12)) {
    const uint32_t bits = data.U32(21, kLittle);
    if (data[20] != 0x2F) {
      throw Malformed(Format::kWebp, "its frame does not begin with the signature");
    }
    return sized((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1);
  }
  if (data.StartsWith("VP8X", 12)) {
    return sized(int64_t{data.U24(24, kLittle)} + 1, int64_t{data.U24(27, kLittle)} + 1);
  }
  if (data.size() < 16) throw OutOfBounds();
  throw Malformed(Format::kWebp, "it does not begin with a picture");
}

// The specification has no prefix here, some writers keep that of JPEG.
Bytes WithoutPrefix(Bytes exif) {
  constexpr std::string_view kPrefix{"Exif\0\0", 6};
  return exif.StartsWith(kPrefix) ? exif.Part(6, exif.size() - 6) : exif;
}

}  // namespace

ImageHeader ReadWebpHeader(Bytes data, const Limits& limits) {
  const size_t riff_size = data.U32(4, kLittle);
  ImageHeader header = SizedByFirstChunk(data, limits);
  const Bytes riff = data.Part(0, 8 + riff_size);
  size_t at = 12;
  while (at + 8 <= riff.size()) {
    const size_t length = riff.U32(at + 4, kLittle);
    const Bytes body = riff.Part(at + 8, length);
    if (riff.StartsWith("EXIF", at)) header.orientation = ExifOrientation(WithoutPrefix(body));
    at += 8 + length + length % 2;
  }
  return header;
}

}  // namespace vision
