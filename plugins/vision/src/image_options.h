// The configuration of an `image_preprocess` model, read and checked once.
#pragma once

#include <despina/backend.hpp>

#include "geometry.h"
#include "image_header.h"
#include "sampling.h"
#include "tensor_format.h"

namespace vision {

struct ImageOptions {
  Framing framing;
  Sampling sampling;
  Limits limits;
  bool reduced_decode = true;  // lets a JPEG be decoded smaller where it is scaled down anyway
  despina::Datatype datatype = despina::FP32;
  TensorFormat tensor;
};

// Both throw despina::Error (INVALID_ARGUMENT), which says what is wrong and where.
ImageOptions ReadImageOptions(const despina::ModelSpec& spec);
despina::Signature SignatureOf(const despina::ModelSpec& spec, const ImageOptions& options);

}  // namespace vision
