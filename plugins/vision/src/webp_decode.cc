// WebP, with libwebp; libwebpdemux finds the first frame of an animation.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

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
  const size_t offset = static_cast<size_t>(found.x_offset) * Pixels::kChannels;
  uint8_t* to = pixels->row(found.y_offset) + offset;
  const size_t room = static_cast<size_t>(pixels->row(header.height) - to);
  if (WebPDecodeRGBInto(found.fragment.bytes, found.fragment.size, to, room,
                        static_cast<int>(pixels->row_bytes())) == nullptr) {
    throw Undecodable(Format::kWebp, "its data is corrupt");
  }
}

}  // namespace vision
