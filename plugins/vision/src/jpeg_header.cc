// What the segments of a JPEG say.
#include <string_view>

#include "exif.h"
#include "image_header.h"
#include "jpeg_segments.h"

namespace vision {

namespace {

constexpr uint8_t kApp1 = 0xE1, kApp14 = 0xEE;

// Scans of a progressive JPEG. Encoders write about ten; each costs the decoder a pass over the
// whole image, which makes a small file of thousands of scans an attack.
constexpr int kMaxScans = 100;

bool BeginsFrame(uint8_t marker) {
  return 0xC0 <= marker && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// What the segments say, one after the other.
class Summary {
 public:
  explicit Summary(const Limits& limits) : limits_(limits) {}

  void Add(uint8_t marker, Bytes segment) {
    if (BeginsFrame(marker)) {
      AddFrame(segment);
    } else if (marker == kApp1 && orientation_ == 0 && segment.StartsWith(kExif)) {
      orientation_ = ExifOrientation(segment.Part(kExif.size(), segment.size() - kExif.size()));
    } else if (marker == kApp14) {
      adobe_ = adobe_ || segment.StartsWith("Adobe");
    } else if (marker == kJpegScan && ++scans_ > kMaxScans) {
      throw ImageError("is a JPEG of more than " + std::to_string(kMaxScans) + " scans");
    }
  }

  ImageHeader Header() const {
    if (frame_.width == 0 || scans_ == 0) throw Malformed(Format::kJpeg, "it holds no picture");
    if (components_ == 4 && !adobe_) {
      // Without the marker nobody can tell ink from its absence.
      throw ImageError("is a CMYK JPEG without an Adobe marker, which is not supported");
    }
    ImageHeader header = frame_;
    if (orientation_ != 0) header.orientation = orientation_;
    return header;
  }

 private:
  static constexpr std::string_view kExif{"Exif\0\0", 6};

  void AddFrame(Bytes segment) {
    if (frame_.width != 0) throw Malformed(Format::kJpeg, "it has two frame headers");
    const int height = segment.U16(1, ByteOrder::kBig);
    const int width = segment.U16(3, ByteOrder::kBig);
    components_ = segment[5];
    frame_ = Sized(Format::kJpeg, width, height, limits_);
  }

  const Limits& limits_;
  ImageHeader frame_;    // without width: there was none yet
  int orientation_ = 0;  // likewise
  int components_ = 0;
  int scans_ = 0;
  bool adobe_ = false;
};

}  // namespace

ImageHeader ReadJpegHeader(Bytes data, const Limits& limits) {
  Summary summary(limits);
  JpegSegments segments(data);
  for (JpegSegment segment; segments.Next(&segment);) summary.Add(segment.marker, segment.body);
  return summary.Header();
}

}  // namespace vision
