// JPEG, with libjpeg-turbo. Of its two interfaces the one with return values (TurboJPEG) is used.
#include <turbojpeg.h>

#include <memory>
#include <vector>

#include "decode.h"
#include "jpeg_scans.h"

namespace vision {

namespace {

struct Destroy {
  void operator()(void* decoder) const { tjDestroy(decoder); }
};
using Decoder = std::unique_ptr<void, Destroy>;

ImageError Failure(const Decoder& decoder) {
  return Undecodable(Format::kJpeg, tjGetErrorStr2(decoder.get()));
}

// How its colours are stored.
int ReadColorSpace(const Decoder& decoder, Bytes data, const ImageHeader& header) {
  int width = 0, height = 0, subsampling = 0, color_space = 0;
  if (tjDecompressHeader3(decoder.get(), data.data(), data.size(), &width, &height, &subsampling,
                          &color_space) != 0) {
    throw Failure(decoder);
  }
  CheckSize(header, width, height);
  return color_space;
}

// Decodes into memory of `height` rows of `width` pixels.
void Decompress(const Decoder& decoder, Bytes data, int width, int height, int pixel_format,
                uint8_t* to) {
  const int failed =
      tjDecompress2(decoder.get(), data.data(), data.size(), to, width, 0, height, pixel_format, 0);
  // A warning is damage that the decoder has read past.
  if (failed != 0 && tjGetErrorCode(decoder.get()) == TJERR_FATAL) throw Failure(decoder);
}

// Adobe stores the complements of the inks.
void MixInks(const std::vector<uint8_t>& inks, Pixels* pixels) {
  uint8_t* to = pixels->row(0);
  for (size_t at = 0; at < inks.size(); at += 4, to += Pixels::kChannels) {
    for (size_t i = 0; i < 3; ++i) {
      to[i] = static_cast<uint8_t>((inks[at + i] * inks[at + 3] + 127) / 255);
    }
  }
}

}  // namespace

void DecodeJpeg(Bytes data, const ImageHeader& header, int reduction, Pixels* pixels) {
  const Decoder decoder(tjInitDecompress());
  if (decoder == nullptr) throw std::bad_alloc();
  const int color_space = ReadColorSpace(decoder, data, header);
  std::vector<uint8_t> coarse;
  if (reduction >= 4 && LeaveOutFinestScans(data, &coarse)) {
    data = Bytes(coarse.data(), coarse.size());
  }
  // The decoder finds its factor by the size that is wanted.
  const int width = (header.width + reduction - 1) / reduction;
  const int height = (header.height + reduction - 1) / reduction;
  pixels->Resize(width, height);
  if (color_space == TJCS_CMYK || color_space == TJCS_YCCK) {
    std::vector<uint8_t> inks(pixels->size() / Pixels::kChannels * 4);
    Decompress(decoder, data, width, height, TJPF_CMYK, inks.data());
    MixInks(inks, pixels);
  } else {
    Decompress(decoder, data, width, height, TJPF_RGB, pixels->row(0));
  }
}

}  // namespace vision
