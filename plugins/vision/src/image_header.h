// What an encoded image says of itself, read without decoding it.
//
// The container is walked once, from its first byte to its end marker: limits are enforced before
// a decoder takes any memory, and a file that was cut off is refused instead of decoded in part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "bytes.h"

namespace vision {

enum class Format { kJpeg, kPng, kBmp, kWebp };
const char* NameOf(Format format);

// The image is refused. The text continues a sentence that begins with the image's name.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

ImageError Truncated(Format format);
// "is a malformed PNG: ", and what is wrong.
ImageError Malformed(Format format, const std::string& problem);
// Its container is in order, what is in it is not.
ImageError Undecodable(Format format, const std::string& problem);

// What an image may ask for.
struct Limits {
  int64_t max_pixels = 50'000'000;        // width times height, 2^30 at most
  int64_t max_bytes = int64_t{64} << 20;  // of the encoded image
};

struct ImageHeader {
  Format format = Format::kJpeg;
  int width = 0;  // in pixels as stored, before the orientation is applied
  int height = 0;
  int orientation = 1;  // of EXIF, 1 to 8; 1 where the image names none

  // Once the orientation is applied.
  std::pair<int, int> upright_size() const {
    return orientation >= 5 ? std::pair(height, width) : std::pair(width, height);
  }
};

// Throws ImageError: empty, of an unknown format, cut off, without pixels, malformed in its
// container, or larger than the limits.
ImageHeader ReadHeader(Bytes data, const Limits& limits);

// Those of one format each; they may throw OutOfBounds, which ReadHeader takes for a file that was
// cut off.
ImageHeader ReadJpegHeader(Bytes data, const Limits& limits);
ImageHeader ReadPngHeader(Bytes data, const Limits& limits);
ImageHeader ReadBmpHeader(Bytes data, const Limits& limits);
ImageHeader ReadWebpHeader(Bytes data, const Limits& limits);

// A header of that size, once it is known to keep to the limits.
ImageHeader Sized(Format format, int64_t width, int64_t height, const Limits& limits);

}  // namespace vision
