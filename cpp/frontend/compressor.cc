#include "frontend/compressor.h"

#include <algorithm>
#include <utility>

#include "frontend/zlib.h"

namespace despina::frontend {
namespace {

// Added to the window's bits for gzip.
constexpr int kGzip = 16;
// What comes out is kept in buffers of this size, but for what is small.
constexpr size_t kOutputBuffer = size_t{64} << 10;
// zlib's default, of 9.
constexpr int kMemoryLevel = 8;

}  // namespace

Compressor::Compressor(std::vector<std::span<const std::byte>> pieces, Coding coding, int level,
                       Allocator& allocator)
    : pieces_(std::move(pieces)), allocator_(allocator) {
  const int bits = MAX_WBITS + (coding == Coding::kGzip ? kGzip : 0);
  failed_ =
      deflateInit2(&stream_, level, Z_DEFLATED, bits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK;
}

Compressor::~Compressor() { deflateEnd(&stream_); }

bool Compressor::AtLastPiece() {
  while (piece_ + 1 < pieces_.size() && used_ == pieces_[piece_].size()) {
    ++piece_;
    used_ = 0;
  }
  return piece_ + 1 >= pieces_.size();
}

bool Compressor::MakeRoom() {
  KeepOutput();
  size_t all = 0;
  for (const auto& piece : pieces_) all += piece.size();
  Result<Buffer> made =
      allocator_.Allocate(std::min<size_t>(deflateBound(&stream_, all), kOutputBuffer));
  if (!made.ok()) return false;
  buffer_ = *std::move(made);
  stream_.next_out = zlib::Output(buffer_.writable());
  stream_.avail_out = static_cast<uInt>(buffer_.size());
  return true;
}

void Compressor::KeepOutput() {
  if (!buffer_) return;
  const auto bytes = std::as_bytes(buffer_.writable()).first(buffer_.size() - stream_.avail_out);
  out_.emplace_back(std::move(buffer_), bytes);
  buffer_ = {};
}

bool Compressor::Continue(size_t& most) {
  while (!failed_) {
    const bool last = AtLastPiece();
    const std::span<const std::byte> next =
        pieces_.empty() ? std::span<const std::byte>() : pieces_[piece_].subspan(used_);
    const size_t part = std::min({next.size(), most, zlib::kMostAtOnce});
    if (part == 0 && !next.empty()) return false;
    if (stream_.avail_out == 0 && !MakeRoom()) break;
    stream_.next_in = zlib::Input(next.first(part));
    stream_.avail_in = static_cast<uInt>(part);
    const bool finish = last && part == next.size();
    const int result = deflate(&stream_, finish ? Z_FINISH : Z_NO_FLUSH);
    const size_t used = part - stream_.avail_in;
    used_ += used;
    most -= used;
    if (result == Z_STREAM_END) return true;
    failed_ = result != Z_OK && result != Z_BUF_ERROR;
  }
  failed_ = true;
  return true;
}

std::optional<std::vector<Slice>> Compressor::Take() {
  if (failed_) return std::nullopt;
  KeepOutput();
  return std::move(out_);
}

}  // namespace despina::frontend
