// JPEG's container: segments that begin with a marker, ITU-T T.81 annex B.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bytes.h"

namespace vision {

constexpr uint8_t kJpegScan = 0xDA;

// One segment. The data of a scan follows it, up to the next one.
struct JpegSegment {
  uint8_t marker = 0;
  size_t begin = 0;  // of its marker in the file
  Bytes body;        // without marker and length
};

// Goes through them from the first behind the start marker.
class JpegSegments {
 public:
  explicit JpegSegments(Bytes data) : data_(data) {}

  // False at the end marker, of which `begin` is told: what follows is not the image's. Throws
  // OutOfBounds where the file ends before it, ImageError where a segment cannot be.
  bool Next(JpegSegment* segment);

 private:
  size_t FindMarker() const;

  Bytes data_;
  size_t at_ = 2;
};

}  // namespace vision
