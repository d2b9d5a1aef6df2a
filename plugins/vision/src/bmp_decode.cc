// BMP: the format is simple enough, and Debian has no library for it alone.
#include <algorithm>
#include <array>

#include "bmp.h"
#include "decode.h"

namespace vision {

namespace {

constexpr auto kLittle = ByteOrder::kLittle;
constexpr size_t kFileHeaderBytes = 14;

using Color = std::array<uint8_t, Pixels::kChannels>;
using Palette = std::array<Color, 256>;

void Put(const Color& color, uint8_t* to) { std::copy(color.begin(), color.end(), to); }

// Colours that the file leaves out are black.
Palette ReadPalette(Bytes data, const BmpLayout& layout) {
  Palette palette{};
  const size_t begin = kFileHeaderBytes + layout.header_bytes;
  const size_t entry_bytes = layout.header_bytes == 12 ? 3 : 4;
  const size_t room = layout.pixels_at > begin ? (layout.pixels_at - begin) / entry_bytes : 0;
  const size_t count = std::min<size_t>(room, size_t{1} << layout.bits);
  for (size_t i = 0; i < count; ++i) {
    const Bytes entry = data.Part(begin + i * entry_bytes, 3);
    palette[i] = {entry[2], entry[1], entry[0]};
  }
  return palette;
}

// One colour of a pixel of 16 or 32 bits.
class Channel {
 public:
  explicit Channel(uint32_t mask) : mask_(mask) {
    while (mask != 0 && (mask >> shift_ & 1) == 0) ++shift_;
    most_ = mask >> shift_;
  }
  // The most that the bits can say is 255.
  uint8_t Of(uint32_t pixel) const {
    if (most_ == 0) return 0;
    const uint64_t value = (pixel & mask_) >> shift_;
    return static_cast<uint8_t>((value * 255 + most_ / 2) / most_);
  }

 private:
  uint32_t mask_;
  unsigned shift_ = 0;
  uint64_t most_ = 0;
};

std::array<Channel, 3> Channels(Bytes data, const BmpLayout& layout) {
  if (layout.compression == BmpLayout::kMasks) {
    const auto mask = [&](size_t at) { return Channel(data.U32(at, kLittle)); };
    return {mask(54), mask(58), mask(62)};
  }
  if (layout.bits == 16) return {Channel(0x7C00), Channel(0x3E0), Channel(0x1F)};
  return {Channel(0xFF0000), Channel(0xFF00), Channel(0xFF)};
}

int Place(const BmpLayout& layout, int row) {
  return layout.top_down ? row : static_cast<int>(layout.height) - 1 - row;
}

// Rows of 1, 4 or 8 bits for a pixel, which are places in the palette.
void DecodeIndices(Bytes data, const BmpLayout& layout, Pixels* pixels) {
  const Palette palette = ReadPalette(data, layout);
  const size_t row_bytes = static_cast<size_t>(layout.row_bytes());
  const size_t bits = static_cast<size_t>(layout.bits);
  for (int y = 0; y < pixels->height(); ++y) {
    const uint8_t* row =
        data.Part(layout.pixels_at + static_cast<size_t>(y) * row_bytes, row_bytes).data();
    uint8_t* to = pixels->row(Place(layout, y));
    for (size_t x = 0; x < static_cast<size_t>(pixels->width()); ++x, to += 3) {
      const size_t bit = x * bits;  // from the highest of the first byte
      const unsigned index = row[bit / 8] >> (8 - bits - bit % 8) & ((1U << bits) - 1);
      Put(palette[index], to);
    }
  }
}

// Rows of 16, 24 or 32 bits for a pixel.
void DecodeColors(Bytes data, const BmpLayout& layout, Pixels* pixels) {
  const std::array<Channel, 3> channels = Channels(data, layout);
  const size_t row_bytes = static_cast<size_t>(layout.row_bytes());
  const size_t pixel_bytes = static_cast<size_t>(layout.bits) / 8;
  const bool as_bytes = layout.compression == BmpLayout::kPlain && layout.bits != 16;
  for (int y = 0; y < pixels->height(); ++y) {
    const Bytes row = data.Part(layout.pixels_at + static_cast<size_t>(y) * row_bytes, row_bytes);
    uint8_t* to = pixels->row(Place(layout, y));
    for (size_t at = 0, x = 0; x < static_cast<size_t>(pixels->width());
         ++x, at += pixel_bytes, to += 3) {
      const uint8_t* from = row.data() + at;
      if (as_bytes) {
        Put({from[2], from[1], from[0]}, to);
        continue;
      }
      const uint32_t pixel = pixel_bytes == 2 ? row.U16(at, kLittle) : row.U32(at, kLittle);
      for (size_t i = 0; i < 3; ++i) to[i] = channels[i].Of(pixel);
    }
  }
}

// Runs of one colour, or of one pair of colours, between codes that move about.
class RunLengths {
 public:
  RunLengths(Bytes data, const BmpLayout& layout, Pixels* pixels)
      : data_(data), layout_(layout), palette_(ReadPalette(data, layout)), pixels_(pixels) {}

  void Decode() {
    for (size_t at = layout_.pixels_at; !done_;) {
      const uint8_t count = data_[at], code = data_[at + 1];
      at += 2;
      if (count > 0) {
        for (unsigned i = 0; i < count; ++i) Next(Index(code, i));
      } else if (code >= 3) {
        at += Literals(at, code);
      } else if (code == 2) {
        Move(x_ + data_[at], y_ + data_[at + 1]);
        at += 2;
      } else {
        Move(0, y_ + 1);
        done_ = done_ || code == 1;
      }
    }
  }

 private:
  bool four_bits() const { return layout_.compression == BmpLayout::kRunLength4; }

  // Of two pixels in a byte, the first is in the upper bits.
  uint8_t Index(uint8_t byte, unsigned i) const {
    if (!four_bits()) return byte;
    return i % 2 == 0 ? byte >> 4 : byte & 0xF;
  }

  // Pixels one by one; the number of bytes that they take, which is even.
  size_t Literals(size_t at, unsigned count) {
    for (unsigned i = 0; i < count; ++i) Next(Index(data_[at + (four_bits() ? i / 2 : i)], i));
    const size_t bytes = four_bits() ? (count + 1) / 2 : count;
    return bytes + bytes % 2;
  }

  void Next(uint8_t index) {
    if (x_ >= pixels_->width()) return;  // what is beyond the end of a row is nowhere
    Put(palette_[index], pixels_->row(Place(layout_, y_)) + ptrdiff_t{3} * x_);
    ++x_;
  }

  // The picture ends with its last row, whether or not that is said.
  void Move(int x, int y) {
    x_ = std::min(x, pixels_->width());
    y_ = y;
    done_ = y >= pixels_->height();
  }

  Bytes data_;
  const BmpLayout& layout_;
  const Palette palette_;
  Pixels* pixels_;
  int x_ = 0;
  int y_ = 0;
  bool done_ = false;
};

bool IsOneOf(int value, std::initializer_list<int> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

void DecodeBmp(Bytes data, const ImageHeader& header, Pixels* pixels) {
  const BmpLayout layout = ReadBmpLayout(data);
  const int bits = layout.bits;
  pixels->Resize(header.width, header.height);
  if (layout.compression == BmpLayout::kPlain && IsOneOf(bits, {1, 4, 8})) {
    DecodeIndices(data, layout, pixels);
  } else if ((layout.compression == BmpLayout::kPlain && IsOneOf(bits, {16, 24, 32})) ||
             (layout.compression == BmpLayout::kMasks && IsOneOf(bits, {16, 32}))) {
    DecodeColors(data, layout, pixels);
  } else if ((layout.compression == BmpLayout::kRunLength8 && bits == 8) ||
             (layout.compression == BmpLayout::kRunLength4 && bits == 4)) {
    pixels->Clear();  // what the runs skip is black
    RunLengths(data, layout, pixels).Decode();
  } else {
    throw Undecodable(Format::kBmp, "it has " + std::to_string(bits) +
                                        " bits a pixel in compression " +
                                        std::to_string(layout.compression));
  }
}

}  // namespace vision
