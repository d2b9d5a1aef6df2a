// What a BMP says of its pixels, for the reader of headers and the decoder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bytes.h"

namespace vision {

struct BmpLayout {
  enum Compression : uint32_t { kPlain = 0, kRunLength8 = 1, kRunLength4 = 2, kMasks = 3 };

  size_t header_bytes = 0;  // of the header that follows the file's own 14 bytes
  size_t pixels_at = 0;
  int64_t width = 0;
  int64_t height = 0;
  bool top_down = false;
  int bits = 0;  // of a pixel
  uint32_t compression = kPlain;

  bool run_length_encoded() const {
    return compression == kRunLength8 || compression == kRunLength4;
  }
  // Of a row that is not run-length encoded; rows are padded to 32 bits.
  int64_t row_bytes() const { return (width * bits + 31) / 32 * 4; }
};

// The size of its header is checked, of the rest the presence. Throws OutOfBounds and ImageError.
BmpLayout ReadBmpLayout(Bytes data);

}  // namespace vision
