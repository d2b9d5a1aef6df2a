// PNG, with libspng, whose functions return codes.
#include <spng.h>

#include <memory>

#include "decode.h"

namespace vision {

namespace {

// Of texts and profiles, which a decoder would otherwise inflate without a bound.
constexpr size_t kMaxChunkBytes = size_t{16} << 20;

struct Free {
  void operator()(spng_ctx* decoder) const { spng_ctx_free(decoder); }
};

void Check(int code) {
  if (code != 0) throw Undecodable(Format::kPng, spng_strerror(code));
}

}  // namespace

void DecodePng(Bytes data, const ImageHeader& header, Pixels* pixels) {
  const std::unique_ptr<spng_ctx, Free> decoder(spng_ctx_new(0));
  if (decoder == nullptr) throw std::bad_alloc();
  Check(spng_set_chunk_limits(decoder.get(), kMaxChunkBytes, kMaxChunkBytes));
  Check(spng_set_png_buffer(decoder.get(), data.data(), data.size()));
  spng_ihdr seen{};
  Check(spng_get_ihdr(decoder.get(), &seen));
  CheckSize(header, seen.width, seen.height);
  pixels->Resize(header.width, header.height);
  Check(spng_decode_image(decoder.get(), pixels->row(0), pixels->size(), SPNG_FMT_RGB8, 0));
}

}  // namespace vision
