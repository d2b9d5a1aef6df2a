// Messages on their way to be compressed.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "frontend/compressor.h"
#include "grpc/message_queue.h"
#include "memory/allocator.h"
#include "protocol/infer_proto_response.h"

namespace despina::grpc {

// Of one call, in order.
class MessageCompressor {
 public:
  // As those of frontend::Compressor.
  MessageCompressor(frontend::Coding coding, int level, Allocator& allocator)
      : coding_(coding), level_(level), allocator_(allocator) {}

  void Push(protocol::EncodedMessage message);
  // Whether no message waits.
  bool empty() const { return messages_.empty(); }
  // Bytes of the messages that wait.
  size_t size() const { return size_; }
  // Compresses up to `most` bytes more and takes them off it. Messages go to `out` when they are
  // done, as they are where there is no memory or they would not get smaller. True when none is
  // left; otherwise `most` is 0.
  bool Continue(size_t& most, MessageQueue& out);

 private:
  const frontend::Coding coding_;
  const int level_;
  Allocator& allocator_;
  std::deque<protocol::EncodedMessage> messages_;
  // Of the first of them, once it is begun.
  std::optional<frontend::Compressor> compressor_;
  size_t size_ = 0;
};

}  // namespace despina::grpc
