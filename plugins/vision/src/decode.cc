#include "decode.h"

namespace vision {

int ReductionFor(const ImageHeader& header, double step) {
  // Only a JPEG decoder saves work that way.
  if (header.format == Format::kJpeg) {
    for (const int factor : {8, 4, 2}) {
      if (step >= factor) return factor;
    }
  }
  return 1;
}

void Decode(Bytes data, const ImageHeader& header, int reduction, Pixels* pixels) {
  try {
    switch (header.format) {
      case Format::kJpeg:
        return DecodeJpeg(data, header, reduction, pixels);
      case Format::kPng:
        return DecodePng(data, header, pixels);
      case Format::kBmp:
        return DecodeBmp(data, header, pixels);
      case Format::kWebp:
        return DecodeWebp(data, header, pixels);
    }
  } catch (const OutOfBounds&) {
    throw Undecodable(header.format, "its data is corrupt");
  }
}

void CheckSize(const ImageHeader& header, int64_t width, int64_t height) {
  if (width == header.width && height == header.height) return;
  throw Malformed(header.format, "its picture is not of its header's size");
}

}  // namespace vision
