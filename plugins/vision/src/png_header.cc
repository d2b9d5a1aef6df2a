// PNG's container: chunks of a length, a name, that many bytes and a checksum.
#include "exif.h"
#include "image_header.h"

namespace vision {

ImageHeader ReadPngHeader(Bytes data, const Limits& limits) {
  constexpr size_t kSignatureBytes = 8, kAroundBody = 12;
  size_t at = kSignatureBytes;
  const uint32_t width = data.U32(at + 8, ByteOrder::kBig);
  const uint32_t height = data.U32(at + 12, ByteOrder::kBig);
  if (data.U32(at, ByteOrder::kBig) != 13 || !data.StartsWith("IHDR", at + 4)) {
    throw Malformed(Format::kPng, "it does not begin with its header");
  }
  ImageHeader header = Sized(Format::kPng, width, height, limits);
  bool has_pixels = false;
  while (true) {
    const size_t length = data.U32(at, ByteOrder::kBig);
    const Bytes chunk = data.Part(at, kAroundBody + length);
    if (chunk.StartsWith("IEND", 4)) break;
    if (chunk.StartsWith("eXIf", 4)) header.orientation = ExifOrientation(chunk.Part(8, length));
    has_pixels = has_pixels || chunk.StartsWith("IDAT", 4);
    at += chunk.size();
  }
  if (!has_pixels) throw Malformed(Format::kPng, "it holds no picture");
  return header;
}

}  // namespace vision
