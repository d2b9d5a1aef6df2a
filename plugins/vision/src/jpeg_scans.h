// Leaves out what a progressive JPEG says too precisely for the size that is wanted.
#pragma once

#include <cstdint>
#include <vector>

#include "bytes.h"

namespace vision {

// A progressive JPEG tells the last bit of its coefficients in scans of their own. Those of
// brightness are the longest, and take up to half of the decoder's time. Where 4 x 4 pixels or more
// become one they matter least: 0.5 to 1 of 255 in a photograph, on average. The constant parts and
// the colours, which are stored with fewer pixels, are left as they are.
//
// Copies the file without them. False where there are none: nothing is copied then. Precondition:
// ReadHeader has accepted the file.
bool LeaveOutFinestScans(Bytes data, std::vector<uint8_t>* to);

}  // namespace vision
