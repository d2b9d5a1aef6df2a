#include "jpeg_segments.h"

#include <cstring>

#include "image_header.h"

namespace vision {

namespace {

constexpr uint8_t kStart = 0xD8, kEnd = 0xD9;

// The data of a scan may hold stuffed zeros (FF 00), restart markers (FF D0 to FF D7) and fill
// bytes (FF FF): none of them ends it.
bool IsMarker(uint8_t code) { return code >= 0x02 && code != 0xFF && (code < 0xD0 || code > 0xD7); }

}  // namespace

size_t JpegSegments::FindMarker() const {
  for (size_t at = at_; at < data_.size(); ++at) {
    const void* found = std::memchr(data_.data() + at, 0xFF, data_.size() - at);
    if (found == nullptr) break;
    at = static_cast<size_t>(static_cast<const uint8_t*>(found) - data_.data());
    if (IsMarker(data_[at + 1])) return at;
  }
  throw OutOfBounds();
}

bool JpegSegments::Next(JpegSegment* segment) {
  segment->begin = FindMarker();
  segment->marker = data_[segment->begin + 1];
  if (segment->marker == kEnd) return false;
  if (segment->marker == kStart) {
    throw Malformed(Format::kJpeg, "an image begins inside another");
  }
  const size_t at = segment->begin + 2;
  const size_t length = data_.U16(at, ByteOrder::kBig);
  if (length < 2) throw Malformed(Format::kJpeg, "a segment is shorter than its own length");
  segment->body = data_.Part(at + 2, length - 2);
  at_ = at + length;
  return true;
}

}  // namespace vision
