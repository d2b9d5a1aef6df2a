#include "image_header.h"

#include <algorithm>
#include <cstdio>

namespace vision {

namespace {

using Reader = ImageHeader (*)(Bytes, const Limits&);

// Nothing where the bytes begin like no format that is known.
Reader ReaderOf(Bytes data, Format* format) {
  using namespace std::string_view_literals;
  if (data.StartsWith("\xff\xd8\xff"sv)) return *format = Format::kJpeg, ReadJpegHeader;
  if (data.StartsWith("\x89PNG\r\n\x1a\n"sv)) return *format = Format::kPng, ReadPngHeader;
  if (data.StartsWith("BM"sv)) return *format = Format::kBmp, ReadBmpHeader;
  if (data.StartsWith("RIFF"sv) && data.StartsWith("WEBP"sv, 8)) {
    return *format = Format::kWebp, ReadWebpHeader;
  }
  return nullptr;
}

std::string FirstBytes(Bytes data) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(data.size(), 8); ++i) {
    char shown[4];
    std::snprintf(shown, sizeof shown, "%s%02x", i > 0 ? " " : "", data[i]);
    text += shown;
  }
  return text;
}

std::string Named(Format format) { return std::string(" ") + NameOf(format); }

}  // namespace

const char* NameOf(Format format) {
  switch (format) {
    case Format::kJpeg:
      return "JPEG";
    case Format::kPng:
      return "PNG";
    case Format::kBmp:
      return "BMP";
    case Format::kWebp:
      break;
  }
  return "WebP";
}

ImageError Truncated(Format format) {
  return ImageError("is a truncated" + Named(format) + ": it ends before its last part");
}

ImageError Malformed(Format format, const std::string& problem) {
  return ImageError("is a malformed" + Named(format) + ": " + problem);
}

ImageError Undecodable(Format format, const std::string& problem) {
  return ImageError("is a" + Named(format) + " that cannot be decoded: " + problem);
}

ImageHeader Sized(Format format, int64_t width, int64_t height, const Limits& limits) {
  const std::string size =
      "is " + std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (width <= 0 || height <= 0) throw ImageError(size + ": there is nothing in it");
  // Not the product, which may be beyond any integer.
  if (width > limits.max_pixels / height) {
    throw ImageError(size + ", more than max_pixels = " + std::to_string(limits.max_pixels));
  }
  return {format, static_cast<int>(width), static_cast<int>(height), 1};
}

ImageHeader ReadHeader(Bytes data, const Limits& limits) {
  if (data.empty()) throw ImageError("is empty");
  if (data.size() > static_cast<uint64_t>(limits.max_bytes)) {
    throw ImageError("has " + std::to_string(data.size()) +
                     " bytes, more than max_bytes = " + std::to_string(limits.max_bytes));
  }
  Format format{};
  const Reader reader = ReaderOf(data, &format);
  if (reader == nullptr) {
    throw ImageError("is not a JPEG, PNG, BMP or WebP image (first bytes " + FirstBytes(data) +
                     ")");
  }
  try {
    return reader(data, limits);
  } catch (const OutOfBounds&) {
    throw Truncated(format);
  }
}

}  // namespace vision
