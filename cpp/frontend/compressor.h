// What is sent, on its way to be compressed: gzip and deflate, by zlib.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "memory/allocator.h"
#include "memory/buffer.h"

namespace despina::frontend {

enum class Coding : uint8_t { kIdentity, kGzip, kDeflate };

// Compresses bytes that lie in pieces, a part at a time.
class Compressor {
 public:
  // `coding` is not identity, `level` is zlib's, from 1 to 9. The bytes must stay until Take().
  Compressor(std::vector<std::span<const std::byte>> pieces, Coding coding, int level,
             Allocator& allocator);
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor();

  // Compresses up to `most` bytes more and takes them off it. True when there is nothing left to
  // do; otherwise `most` is 0.
  bool Continue(size_t& most);
  // What came out; nothing where there was no memory. To be called once, after Continue() has said
  // true.
  std::optional<std::vector<Slice>> Take();

 private:
  // Whether all but the piece that is worked on has been compressed; goes on to the next piece
  // where that one has been too.
  bool AtLastPiece();
  // Makes room behind what came out. False when there is no memory.
  bool MakeRoom();
  void KeepOutput();

  const std::vector<std::span<const std::byte>> pieces_;
  Allocator& allocator_;
  z_stream stream_{};
  // Where the next bytes are.
  size_t piece_ = 0;
  size_t used_ = 0;

  Buffer buffer_;
  std::vector<Slice> out_;
  bool failed_ = false;
};

}  // namespace despina::frontend
