// Messages on their way to a client, cut into what frames take.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "base/recycled_memory.h"
#include "grpc/outbox.h"
#include "memory/buffer.h"
#include "protocol/infer_proto_response.h"

namespace despina::grpc {

// Of one call, in order.
class MessageQueue {
 public:
  void Push(protocol::EncodedMessage&& message);
  // A message that is compressed. False, and nothing pushed, unless it is shorter than `plain`.
  bool PushCompressed(std::span<const Slice> message, size_t plain);

  // Bytes that have not been moved.
  size_t size() const { return size_; }
  // Moves the next bytes. Precondition: size() >= `size`. False when there is no memory; then the
  // queue is of no use.
  bool Move(size_t size, Outbox& out);

 private:
  // Whether the message is compressed, and its length.
  using Prefix = std::array<std::byte, 5>;
  struct Queued {
    Prefix prefix{};
    protocol::EncodedMessage message{};
  };
  // Bytes that are sent one behind the other; of data, also what keeps them.
  struct Part {
    std::span<const std::byte> bytes;
    const Slice* data = nullptr;
  };

  void Append(bool compressed, size_t length, protocol::EncodedMessage&& message);
  // Precondition: there is a message.
  Part CurrentPart() const;
  void EndPart();

  RecycledVector<Queued> messages_;
  // The first that was not moved whole.
  size_t first_ = 0;
  // Its parts are its prefix, and then text and data of each of its pieces. The one that is moved
  // now, how much of it has been, and where the next text begins.
  size_t part_ = 0;
  size_t moved_ = 0;
  size_t text_at_ = 0;
  size_t size_ = 0;
};

}  // namespace despina::grpc
