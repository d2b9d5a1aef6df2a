// Messages on their way to a client, cut into what frames take.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <variant>
#include <vector>

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

  void AppendPrefix(bool compressed, size_t length);
  void Append(std::variant<Prefix, Slice> piece, size_t size);

  std::vector<std::variant<Prefix, Slice>> pieces_;
  // The first that was not moved whole, and how much of it was.
  size_t first_ = 0;
  size_t moved_ = 0;
  size_t size_ = 0;
};

}  // namespace despina::grpc
