// WebP, with libwebp; libwebpdemux finds the first frame of an animation.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <new>

#include "decode.h"

namespace vision {

namespace {

struct Delete {
  void operator()(WebPDemuxer* container) const { WebPDemuxDelete(container); }
};

// The first frame and where it lies in the picture. It refers to the container.
struct Frame {
  explicit Frame(WebPDemuxer* container) {
    if (WebPDemuxGetFrame(container, 1, &found) == 0 || found.complete == 0) {
      throw Undecodable(Format::kWebp, "it holds no whole frame");
    }
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;
  ~Frame() { WebPDemuxReleaseIterator(&found); }

  WebPIterator found{};
};

void DecodeFrame(const WebPIterator& frame, Pixels* pixels) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) {
    throw Undecodable(Format::kWebp, "the library is of another version");
  }
  uint8_t* to =
      pixels->row(frame.y_offset) + static_cast<size_t>(frame.x_offset) * Pixels::kChannels;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {to, static_cast<int>(pixels->row_bytes()),
                          static_cast<size_t>(pixels->row(pixels->height()) - to)};
  switch (WebPDecode(frame.fragment.bytes, frame.fragment.size, &config)) {
    case VP8_STATUS_OK:
      return;
    case VP8_STATUS_OUT_OF_MEMORY:
      throw std::bad_alloc();
    default:
      throw Undecodable(Format::kWebp, "its data is corrupt");
  }
}

}  // namespace

void DecodeWebp(Bytes data, const ImageHeader& header, Pixels* pixels) {
  const WebPData lent{data.data(), data.size()};
  const std::unique_ptr<WebPDemuxer, Delete> container(WebPDemux(&lent));
  if (container == nullptr) throw Undecodable(Format::kWebp, "its data is corrupt");
  CheckSize(header, WebPDemuxGetI(container.get(), WEBP_FF_CANVAS_WIDTH),
            WebPDemuxGetI(container.get(), WEBP_FF_CANVAS_HEIGHT));
  const Frame frame(container.get());
  const WebPIterator& found = frame.found;
  if (found.x_offset < 0 || found.y_offset < 0 || found.width > header.width - found.x_offset ||
      found.height > header.height - found.y_offset) {
    throw Malformed(Format::kWebp, "a frame reaches beyond the picture");
  }
  pixels->Resize(header.width, header.height);
  if (found.width < header.width || found.height < header.height) pixels->Clear();
  DecodeFrame(found, pixels);
}

}  // namespace vision
