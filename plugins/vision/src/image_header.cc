#include "image_header.h"

#include <algorithm>
#include <cstdio>
#include <optional>

namespace vision {

namespace {

struct Container {
  Format format;
  ImageHeader (*read)(Bytes, const Limits&);
};

// Nothing where the bytes begin like no format that is known.
std::optional<Container> Recognize(Bytes data) {
  using namespace std::string_view_literals;
  if (data.StartsWith("\xff\xd8\xff"sv)) return Container{Format::kJpeg, ReadJpegHeader};
  if (data.StartsWith("\x89PNG\r\n\x1a\n"sv)) return Container{Format::kPng, ReadPngHeader};
  if (data.StartsWith("BM"sv)) return Container{Format::kBmp, ReadBmpHeader};
  if (data.StartsWith("RIFF"sv) && data.StartsWith("WEBP"sv, 8)) {
    return Container{Format::kWebp, ReadWebpHeader};
  }
  return std::nullopt;
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
  const std::optional<Container> container = Recognize(data);
  if (!container) {
    throw ImageError("is not a JPEG, PNG, BMP or WebP image (first bytes " + FirstBytes(data) +
                     ")");
  }
  try {
    return container->read(data, limits);
  } catch (const OutOfBounds&) {
    throw Truncated(container->format);
  }
}

}  // namespace vision
