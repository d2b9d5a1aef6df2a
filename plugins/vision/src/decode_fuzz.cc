// Files of one format, from their header to a tensor. The last byte says how they are looked at.
#include <despina/tensor.hpp>
#include <string>
#include <vector>

#include "decode.h"
#include "sampling.h"

namespace vision {
namespace {

constexpr Limits kLimits{1 << 20, 1 << 20};

void DrawAsWanted(const Pixels& pixels, const ImageHeader& header, int reduction, uint8_t how) {
  TensorFormat format;
  format.size = {13, 17};
  format.gain = {1, 1, 1};
  const Sampling sampling{static_cast<Interpolation>(how % 3), 7};
  const auto [width, height] = header.upright_size();
  const Box image{0, 0, static_cast<double>(width), static_cast<double>(height)};
  const Framing framing{static_cast<Fit>(how / 3 % 3), Align::kCenter, 1.25};
  const Box region = RegionToInput(image, framing, format.size);
  const Transform to_pixels =
      Compose(UprightToStored(header.orientation, {header.width, header.height}, reduction),
              InverseTransform(region, format.size));
  std::vector<uint8_t> tensor(format.elements());
  Draw(pixels, to_pixels, PixelsInside(image, region, format.size), sampling, format,
       tensor.data());
}

}  // namespace

int Fuzz(Bytes data, uint8_t how) {
  ImageHeader header;
  try {
    header = ReadHeader(data, kLimits);
  } catch (const ImageError&) {
    return 0;
  }
  if (header.format != FORMAT) return -1;  // another fuzzer's
  const int reduction = ReductionFor(header, 1 << how % 4);
  try {
    Pixels pixels;
    Decode(data, header, reduction, &pixels);
    DrawAsWanted(pixels, header, reduction, how);
  } catch (const ImageError&) {
    // It is refused.
  }
  return 0;
}

}  // namespace vision

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return -1;
  // A copy of its own, so that the address sanitizer sees what is read beyond it.
  const std::vector<uint8_t> file(data, data + size - 1);
  return vision::Fuzz(vision::Bytes(file.data(), file.size()), data[size - 1]);
}
