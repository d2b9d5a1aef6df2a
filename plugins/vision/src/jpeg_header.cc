// JPEG's container: segments that begin with a marker, ITU-T T.81 annex B.
#include <cstring>
#include <string_view>

#include "exif.h"
#include "image_header.h"

namespace vision {

namespace {

constexpr uint8_t kStart = 0xD8, kEnd = 0xD9, kScan = 0xDA, kApp1 = 0xE1, kApp14 = 0xEE;

// Scans of a progressive JPEG. Encoders write about ten; each costs the decoder a pass over the
// whole image, which makes a small file of thousands of scans an attack.
constexpr int kMaxScans = 100;

bool BeginsFrame(uint8_t marker) {
  return 0xC0 <= marker && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// The data of a scan may hold stuffed zeros (FF 00), restart markers (FF D0 to FF D7) and fill
// bytes (FF FF): none of them ends it.
bool IsMarker(uint8_t code) {
  return code >= 0x02 && code != 0xFF && (code < 0xD0 || code > 0xD7);
}

// Where the code of the next marker stands. Throws OutOfBounds if there is none.
size_t FindMarker(Bytes data, size_t at) {
  while (at < data.size()) {
    const void* found = std::memchr(data.data() + at, 0xFF, data.size() - at);
    if (found == nullptr) break;
    at = static_cast<size_t>(static_cast<const uint8_t*>(found) - data.data()) + 1;
    if (IsMarker(data[at])) return at;
  }
  throw OutOfBounds();
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
    } else if (marker == kScan && ++scans_ > kMaxScans) {
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
  size_t at = 2;
  while (true) {
    at = FindMarker(data, at);
    const uint8_t marker = data[at++];
    if (marker == kEnd) return summary.Header();  // what follows is not ours
    if (marker == kStart) throw Malformed(Format::kJpeg, "an image begins inside another");
    const size_t length = data.U16(at, ByteOrder::kBig);
    if (length < 2) throw Malformed(Format::kJpeg, "a segment is shorter than its own length");
    summary.Add(marker, data.Part(at + 2, length - 2));
    at += length;
  }
}

}  // namespace vision
