#include "jpeg_scans.h"

#include "jpeg_segments.h"

namespace vision {

namespace {

// Whether it refines coefficients other than the constant one, from one bit missing to none:
// ITU-T T.81 B.2.3, where the last three bytes are Ss, Se, and Ah with Al.
bool IsFinestScan(const JpegSegment& segment) {
  const Bytes body = segment.body;
  if (segment.marker != kJpegScan || body.size() < 3) return false;
  return body[body.size() - 3] > 0 && body[body.size() - 1] == 0x10;
}

}  // namespace

bool LeaveOutFinestScans(Bytes data, std::vector<uint8_t>* to) {
  bool any = false;
  size_t begin = 0;  // of what is copied next
  JpegSegments segments(data);
  JpegSegment segment;
  for (bool more = true, leave_out = false; more;) {
    more = segments.Next(&segment);
    if (leave_out) {
      begin = segment.begin;
      leave_out = false;
    }
    if (more && IsFinestScan(segment)) {
      const uint8_t* from = data.data();
      to->insert(to->end(), from + begin, from + segment.begin);
      any = leave_out = true;
    }
  }
  if (any) to->insert(to->end(), data.data() + begin, data.data() + data.size());
  return any;
}

}  // namespace vision
