// BMP's container: a header of the file, one of the picture, colours, pixels.
#include "bmp.h"
#include "image_header.h"

namespace vision {

namespace {

constexpr auto kLittle = ByteOrder::kLittle;
constexpr size_t kFileHeaderBytes = 14;

}  // namespace

BmpLayout ReadBmpLayout(Bytes data) {
  BmpLayout layout;
  layout.pixels_at = data.U32(10, kLittle);
  layout.header_bytes = data.U32(kFileHeaderBytes, kLittle);
  if (layout.header_bytes == 12) {  // OS/2's
    layout.width = data.U16(18, kLittle);
    layout.height = data.U16(20, kLittle);
    layout.bits = data.U16(24, kLittle);
    return layout;
  }
  if (layout.header_bytes < 40) {
    throw Malformed(Format::kBmp,
                    "its header has " + std::to_string(layout.header_bytes) + " bytes");
  }
  layout.width = static_cast<int32_t>(data.U32(18, kLittle));
  const int64_t height = static_cast<int32_t>(data.U32(22, kLittle));
  layout.top_down = height < 0;
  layout.height = height < 0 ? -height : height;
  layout.bits = data.U16(28, kLittle);
  layout.compression = data.U32(30, kLittle);
  return layout;
}

ImageHeader ReadBmpHeader(Bytes data, const Limits& limits) {
  const BmpLayout layout = ReadBmpLayout(data);
  const ImageHeader header = Sized(Format::kBmp, layout.width, layout.height, limits);
  if (!layout.run_length_encoded()) {
    // Throws where there are fewer.
    static_cast<void>(
        data.Part(layout.pixels_at, static_cast<size_t>(layout.row_bytes() * layout.height)));
  }
  return header;
}

}  // namespace vision
