// PNG, with libpng. See escape.h for how it ends on an error.
#include <png.h>

#include <cstring>
#include <new>

#include "decode.h"
#include "escape.h"

namespace vision {

namespace {

struct Decoder {
  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { png_destroy_read_struct(&library, &info, nullptr); }  // either may be null

  png_structp library = nullptr;
  png_infop info = nullptr;
  Escape escape;
  Bytes data;
  size_t at = 0;             // of what is read next
  Pixels* pixels = nullptr;  // to be filled
};

[[noreturn]] void Leave(png_structp library, png_const_charp reason) {
  static_cast<Decoder*>(png_get_error_ptr(library))->escape.Leave(reason);
}

// A warning is damage that the library has read past; nobody reads what it would print.
void Ignore(png_structp, png_const_charp) {}

void Read(png_structp library, png_bytep to, size_t size) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(library));
  if (size > decoder->data.size() - decoder->at) png_error(library, "its data is cut off");
  std::memcpy(to, decoder->data.data() + decoder->at, size);
  decoder->at += size;
}

void ReadUpToPixels(Decoder* decoder) {
  png_structp library = decoder->library;
  png_set_read_fn(library, decoder, Read);
  // Texts, profiles and the like are of no use here. The library would inflate and keep a thousand
  // of them.
  png_set_keep_unknown_chunks(library, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_user_limits(library, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ReadHeader has checked it
  png_read_info(library, decoder->info);
}

// Whatever is stored becomes red, green and blue of 8 bits each.
void ReadPixels(Decoder* decoder) {
  png_structp library = decoder->library;
  Pixels& pixels = *decoder->pixels;
  png_set_palette_to_rgb(library);
  png_set_expand_gray_1_2_4_to_8(library);
  png_set_strip_16(library);
  png_set_strip_alpha(library);
  png_set_gray_to_rgb(library);
  const int passes = png_set_interlace_handling(library);
  png_read_update_info(library, decoder->info);
  if (png_get_rowbytes(library, decoder->info) != pixels.row_bytes()) {
    png_error(library, "its rows are of another length than they should be");
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < pixels.height(); ++y) png_read_row(library, pixels.row(y), nullptr);
  }
}

void Do(Decoder* decoder, void (*work)(Decoder*)) {
  if (decoder->escape.Attempt(decoder, work)) return;
  throw Undecodable(Format::kPng, decoder->escape.reason());
}

}  // namespace

void DecodePng(Bytes data, const ImageHeader& header, Pixels* pixels) {
  Decoder decoder;
  decoder.data = data;
  decoder.pixels = pixels;
  decoder.library = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, Leave, Ignore);
  if (decoder.library == nullptr) throw std::bad_alloc();
  decoder.info = png_create_info_struct(decoder.library);
  if (decoder.info == nullptr) throw std::bad_alloc();
  Do(&decoder, ReadUpToPixels);
  CheckSize(header, png_get_image_width(decoder.library, decoder.info),
            png_get_image_height(decoder.library, decoder.info));
  pixels->Resize(header.width, header.height);
  Do(&decoder, ReadPixels);
}

}  // namespace vision
