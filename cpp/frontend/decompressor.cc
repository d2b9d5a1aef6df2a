#include "frontend/decompressor.h"

#include <algorithm>

#include "base/text.h"
#include "frontend/zlib.h"

namespace despina::frontend {
namespace {

// Added to the window's bits: zlib can tell gzip and deflate apart.
constexpr int kEither = 32;
// What zlib has for one stream that it decompresses, about.
constexpr uint64_t kDecompressorBytes = uint64_t{40} << 10;

uInt Size(size_t size) { return static_cast<uInt>(std::min(size, zlib::kMostAtOnce)); }

}  // namespace

Decompressor::~Decompressor() {
  if (begun_) inflateEnd(&stream_);
}

std::optional<Refusal> Decompressor::Judge(int result) const {
  switch (result) {
    case Z_OK:
    case Z_STREAM_END:
    // There was nothing to do.
    case Z_BUF_ERROR:
      return std::nullopt;
    case Z_MEM_ERROR:
      return Refusal{Refusal::Reason::kNoMemory, "out of memory"};
    case Z_NEED_DICT:
      return Refusal{Refusal::Reason::kMalformed,
                     "the request's body is compressed with a dictionary"};
    default:
      return Refusal{Refusal::Reason::kMalformed,
                     Concat("the request's body cannot be decompressed: ",
                            stream_.msg != nullptr ? stream_.msg : "invalid data")};
  }
}

std::optional<Refusal> Decompressor::Begin(Body& body) {
  if (const Status status = body.Charge(kDecompressorBytes); !status.ok()) {
    return Refusal{Refusal::Reason::kNoMemory, status.message()};
  }
  const int result = inflateInit2(&stream_, MAX_WBITS + kEither);
  begun_ = result == Z_OK;
  return Judge(result);
}

std::optional<Refusal> Decompressor::Append(std::span<const std::byte> bytes, Body& body) {
  std::optional<Refusal> refusal;
  if (!begun_) refusal = Begin(body);
  stream_.next_in = zlib::Input(bytes);
  stream_.avail_in = Size(bytes.size());
  for (bool full = true; full && !ended_ && !refusal;) refusal = Fill(body, full);
  if (!refusal && stream_.avail_in > 0) {
    refusal = Refusal{Refusal::Reason::kMalformed,
                      "the request's body has bytes behind its compressed data"};
  }
  return refusal;
}

std::optional<Refusal> Decompressor::Fill(Body& body, bool& full) {
  const uint64_t left = limit_ - body.size();
  Status status = left > 0 ? body.MakeRoom(1) : Ok();
  if (!status.ok()) return Refusal{Refusal::Reason::kNoMemory, status.message()};
  // One byte more than there may be tells that there are too many.
  std::byte excess{};
  const std::span<std::byte> room =
      left > 0 ? body.space().first(std::min<uint64_t>(left, Size(body.space().size())))
               : std::span(&excess, 1);
  stream_.next_out = zlib::Output(room);
  stream_.avail_out = static_cast<uInt>(room.size());
  const int result = inflate(&stream_, Z_NO_FLUSH);
  if (std::optional<Refusal> refusal = Judge(result)) return refusal;
  ended_ = result == Z_STREAM_END;
  full = stream_.avail_out == 0;
  const size_t made = room.size() - stream_.avail_out;
  if (made > left) {
    return Refusal{Refusal::Reason::kTooLarge,
                   Concat("the request's body is larger than the limit of ", limit_,
                          " bytes once it is decompressed")};
  }
  status = body.Commit(made);
  if (!status.ok()) return Refusal{Refusal::Reason::kNoMemory, status.message()};
  return std::nullopt;
}

std::optional<Refusal> Decompressor::Finish() const {
  if (ended_) return std::nullopt;
  return Refusal{Refusal::Reason::kMalformed,
                 begun_ ? "the request's body ends before its compressed data do"
                        : "nothing to be decompressed"};
}

}  // namespace despina::frontend
