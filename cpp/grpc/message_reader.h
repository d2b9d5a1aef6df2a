// Messages of one call, as they arrive.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/status.h"
#include "frontend/body.h"
#include "frontend/decompressor.h"
#include "memory/allocator.h"
#include "memory/budget.h"
#include "memory/buffer.h"

namespace despina::grpc {

struct Message {
  Slice bytes;
  // For as long as the bytes are used.
  Charge charge;
};

struct MessageLimits {
  // Of one, also decompressed.
  size_t max_bytes = 0;
  // What one that is complete is charged for besides its bytes.
  size_t charged_besides = 0;
};

// Takes the bytes of DATA frames, in whatever pieces, and gives whole messages: each behind a byte
// that says whether it is compressed, and its length in four bytes. A message lies in one buffer of
// its final size, where its first tensor is aligned for backends if that can be seen at its
// beginning. The budget is charged for what has arrived, not for what was promised, but for a
// beginning.
class MessageReader {
 public:
  // `compressed`: messages may be compressed, with gzip or deflate.
  MessageReader(MessageLimits limits, bool compressed, Allocator& allocator, Budget& budget)
      : limits_(limits), compressed_(compressed), allocator_(allocator), budget_(budget) {}

  // Uses the beginning of `bytes` and cuts it off. A message when one is complete; nothing when all
  // is used. To be called until it gives nothing. RESOURCE_EXHAUSTED for a message that is too
  // large and where there is no memory, INTERNAL for what is malformed; after an error the reader
  // is of no use.
  Result<std::optional<Message>> Next(std::span<const std::byte>& bytes);
  // Within a message, or its prefix.
  bool within_message() const { return prefix_size_ > 0; }

 private:
  static constexpr size_t kPrefix = 5;

  // What the prefix says.
  size_t Length() const;
  Status Begin(std::span<const std::byte> beginning);
  Status Add(std::span<const std::byte> bytes);
  Result<std::optional<Message>> Finish();

  const MessageLimits limits_;
  const bool compressed_;
  Allocator& allocator_;
  Budget& budget_;
  std::array<std::byte, kPrefix> prefix_{};
  size_t prefix_size_ = 0;
  // Of the message, as it is sent: what is still to come.
  size_t left_ = 0;
  // While there is a message.
  std::optional<frontend::Body> body_;
  std::optional<frontend::Decompressor> decompressor_;
};

}  // namespace despina::grpc
