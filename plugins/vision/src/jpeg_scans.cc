#include "jpeg_scans.h"

#include "jpeg_segments.h"

namespace vision {

namespace {

constexpr uint8_t kProgressiveFrame = 0xC2;

// Whether it tells the last bit of a component's coefficients, but for the constant one. ITU-T T.81
// B.2.3: a scan of one component has 6 bytes, the second of which names it; the last three are Ss,
// Se, and Ah with Al.
bool IsFinest(const JpegSegment& scan, uint8_t component) {
  const Bytes body = scan.body;
  return body.size() == 6 && body[1] == component && body[3] > 0 && body[5] == 0x10;
}

}  // namespace

bool LeaveOutFinestScans(Bytes data, std::vector<uint8_t>* to) {
  uint8_t brightness = 0;  // the component
  bool any = false;
  bool leave_out = false;  // what lies before the next segment
  size_t begin = 0;        // of what is copied next
  JpegSegments segments(data);
  for (JpegSegment segment;;) {
    const bool more = segments.Next(&segment);
    if (leave_out) begin = segment.begin;
    if (!more) break;
    leave_out = segment.marker == kJpegScan && IsFinest(segment, brightness);
    if (leave_out) {
      to->insert(to->end(), data.data() + begin, data.data() + segment.begin);
      any = true;
    }
    // B.2.2: components begin with the seventh byte. The first is brightness, where there are
    // three.
    if (segment.marker == kProgressiveFrame) brightness = segment.body[6];
  }
  if (any) to->insert(to->end(), data.data() + begin, data.data() + data.size());
  return any;
}

}  // namespace vision
