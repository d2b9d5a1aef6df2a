// JPEG, with libjpeg-turbo. See escape.h for how it ends on an error.
#include <cstdio>  // for jpeglib.h, which does not include it
// Behind it.
#include <jpeglib.h>
// Behind that.
#include <jerror.h>

#include <new>
#include <vector>

#include "decode.h"
#include "escape.h"
#include "jpeg_scans.h"

namespace vision {

namespace {

struct Decoder {
  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&library); }  // also where it was not created

  jpeg_decompress_struct library{};
  jpeg_error_mgr errors{};
  Escape escape;
  Bytes data;
  uint8_t* to = nullptr;  // where the first row goes, and the others behind it
};

[[noreturn]] void Leave(j_common_ptr library) {
  char reason[JMSG_LENGTH_MAX];
  library->err->format_message(library, reason);
  static_cast<Decoder*>(library->client_data)->escape.Leave(reason);
}

// A warning is damage that the library has read past; nobody reads what it would print.
void Ignore(j_common_ptr, int) {}
void PrintNothing(j_common_ptr) {}

void Create(Decoder* decoder) { jpeg_create_decompress(&decoder->library); }

void ReadUpToScan(Decoder* decoder) {
  jpeg_mem_src(&decoder->library, decoder->data.data(), decoder->data.size());
  jpeg_read_header(&decoder->library, TRUE);
}

void ReadRows(Decoder* decoder) {
  jpeg_decompress_struct& library = decoder->library;
  jpeg_start_decompress(&library);
  const size_t row_bytes =
      size_t{library.output_width} * static_cast<size_t>(library.output_components);
  while (library.output_scanline < library.output_height) {
    JSAMPROW row = decoder->to + row_bytes * library.output_scanline;
    jpeg_read_scanlines(&library, &row, 1);
  }
}

// The library's object, and its errors as exceptions.
class JpegFile {
 public:
  explicit JpegFile(Bytes data) {
    library().err = jpeg_std_error(&decoder_.errors);
    decoder_.errors.error_exit = Leave;
    decoder_.errors.emit_message = Ignore;
    decoder_.errors.output_message = PrintNothing;
    library().client_data = &decoder_;
    decoder_.data = data;
    Do(Create);
    Do(ReadUpToScan);
  }
  int width() const { return static_cast<int>(decoder_.library.image_width); }
  int height() const { return static_cast<int>(decoder_.library.image_height); }
  bool has_inks() const {
    const J_COLOR_SPACE space = decoder_.library.jpeg_color_space;
    return space == JCS_CMYK || space == JCS_YCCK;
  }

  // All rows: of inks where there are such, otherwise of red, green and blue.
  void Read(int reduction, uint8_t* to) {
    library().scale_num = 1;
    library().scale_denom = static_cast<unsigned>(reduction);
    library().out_color_space = has_inks() ? JCS_CMYK : JCS_RGB;
    // A guess at what scans that are left out would say, which takes longer than they do.
    library().do_block_smoothing = FALSE;
    decoder_.to = to;
    Do(ReadRows);
  }

 private:
  jpeg_decompress_struct& library() { return decoder_.library; }

  void Do(void (*work)(Decoder*)) {
    if (decoder_.escape.Attempt(&decoder_, work)) return;
    if (decoder_.errors.msg_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
    throw Undecodable(Format::kJpeg, decoder_.escape.reason());
  }

  Decoder decoder_;
};

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
  std::vector<uint8_t> coarse;
  if (reduction >= 4 && LeaveOutFinestScans(data, &coarse)) {
    data = Bytes(coarse.data(), coarse.size());
  }
  JpegFile file(data);
  CheckSize(header, file.width(), file.height());
  pixels->Resize((header.width + reduction - 1) / reduction,
                 (header.height + reduction - 1) / reduction);
  if (file.has_inks()) {
    std::vector<uint8_t> inks(pixels->size() / Pixels::kChannels * 4);
    file.Read(reduction, inks.data());
    MixInks(inks, pixels);
  } else {
    file.Read(reduction, pixels->row(0));
  }
}

}  // namespace vision
