// Encoded bytes to pixels. Every way in which the codecs' libraries can fail becomes one exception.
#pragma once

#include "bytes.h"
#include "image_header.h"
#include "pixels.h"

namespace vision {

// How many pixels along an axis the decoder may make one of: 1, 2, 4 or 8. `step` is the smallest
// distance of two samples in stored pixels: what is decoded has at least a pixel for each of them.
int ReductionFor(const ImageHeader& header, double step);

// Makes the pixels as stored: ceil(width / reduction) times ceil(height / reduction). Alpha is
// dropped, not composited; 16 bits become the upper 8; of an animation the first frame is taken;
// the orientation is not applied. Throws ImageError, and std::bad_alloc where a library finds no
// memory either, after which the pixels are whatever they are.
//
// `header` is what ReadHeader said of `data`, `reduction` one of those that ReductionFor gives.
void Decode(Bytes data, const ImageHeader& header, int reduction, Pixels* pixels);

// Those of one format each.
void DecodeJpeg(Bytes data, const ImageHeader& header, int reduction, Pixels* pixels);
void DecodePng(Bytes data, const ImageHeader& header, Pixels* pixels);
void DecodeBmp(Bytes data, const ImageHeader& header, Pixels* pixels);
void DecodeWebp(Bytes data, const ImageHeader& header, Pixels* pixels);

// For a decoder whose library says this of the size. Throws ImageError where the header said
// something else.
void CheckSize(const ImageHeader& header, int64_t width, int64_t height);

}  // namespace vision
