// Messages on their way to a client, cut into what frames take.
#pragma once

#include <array>
#include <cstddef>
#include <variant>
#include <vector>

#include "grpc/outbox.h"
#include "memory/buffer.h"
#include "protocol/infer_proto_response.h"

namespace despina::grpc {

// Of one call, in order.
class MessageQueue {
 public:
  void Push(const protocol::EncodedMessage& message);

  // Bytes that have not been moved.
  size_t size() const { return size_; }
  // Moves the next bytes. Precondition: size() >= `size`. False when there is no memory; then the
  // queue is of no use.
  bool Move(size_t size, Outbox& out);

 private:
  // Not compressed, and the message's length.
  using Prefix = std::array<std::byte, 5>;

  void Append(std::variant<Prefix, Slice> piece, size_t size);

  std::vector<std::variant<Prefix, Slice>> pieces_;
  // The first that was not moved whole, and how much of it was.
  size_t first_ = 0;
  size_t moved_ = 0;
  size_t size_ = 0;
};

}  // namespace despina::grpc
