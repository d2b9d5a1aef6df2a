// Content codings of bodies: gzip and deflate, by zlib.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http/message.h"
#include "memory/allocator.h"
#include "memory/buffer.h"

namespace despina::http {

enum class Coding : uint8_t { kIdentity, kGzip, kDeflate };

// What a Content-Encoding says; nothing for a coding that is not supported, or for several.
std::optional<Coding> ParseContentEncoding(std::string_view value);

// The one of the codings listed in an Accept-Encoding that has the greatest weight, of several the
// first. What is not known, "*" among it, counts as not there, and so does a weight that is not
// above 0.
Coding PreferredCoding(std::string_view accept_encoding);

// Compresses the body of an answer, a part at a time.
class Compressor {
 public:
  // `coding` is not identity.
  Compressor(Answer answer, Coding coding, Allocator& allocator);
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor();

  // Compresses about so many bytes more. True when there is nothing left to do.
  bool Continue(size_t most);
  // The answer with its body compressed; as it was where there was no memory to do so. To be
  // called once, after Continue() has said true.
  Answer Take();

 private:
  // The next bytes that have not been compressed; empty at the end.
  std::span<const std::byte> Next() const;
  // Makes room behind what came out. False when there is no memory.
  bool MakeRoom();
  void KeepOutput();

  Answer answer_;
  const Coding coding_;
  Allocator& allocator_;
  z_stream stream_{};
  // Of the text and the slices: where the next bytes are.
  size_t piece_ = 0;
  size_t used_ = 0;

  Buffer buffer_;
  std::vector<Slice> out_;
  bool failed_ = false;
};

}  // namespace despina::http
