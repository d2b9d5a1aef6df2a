// The orientation that a camera noted in an image's EXIF block.
#pragma once

#include "bytes.h"

namespace vision {

// Of the first directory of a TIFF structure, 1 to 8; 1 where it is absent or damaged: a photo with
// a broken EXIF block is still a photo, which viewers show as it is stored, and so do we.
int ExifOrientation(Bytes tiff);

}  // namespace vision
