// What clients have compressed: gzip and deflate, by zlib.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "frontend/body.h"

namespace despina::frontend {

// Why what was sent is not taken.
struct Refusal {
  enum class Reason : uint8_t { kMalformed, kTooLarge, kNoMemory };
  Reason reason = Reason::kMalformed;
  std::string message;
};

// Decompresses a body while it arrives: one stream of gzip or deflate, whichever it begins as, and
// nothing behind it. One call makes at most about a thousand times as many bytes as it is given.
class Decompressor {
 public:
  // At most `limit` bytes come out. It takes no memory before the first bytes come.
  explicit Decompressor(uint64_t limit) : limit_(limit) {}
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor();

  // Adds what the next bytes hold to `body`, which has memory. After a refusal it is of no use.
  std::optional<Refusal> Append(std::span<const std::byte> bytes, Body& body);
  // No more bytes come.
  std::optional<Refusal> Finish() const;

 private:
  std::optional<Refusal> Begin(Body& body);
  // What the last call of zlib means.
  std::optional<Refusal> Judge(int result) const;
  // Makes as much as there is room for; `full` says that there may be more.
  std::optional<Refusal> Fill(Body& body, bool& full);

  const uint64_t limit_;
  z_stream stream_{};
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace despina::frontend
