#include "grpc/service.h"

#include <cstring>
#include <utility>

namespace despina::grpc {

Result<protocol::EncodedMessage> MessageOf(std::string_view bytes, Allocator& allocator) {
  protocol::EncodedMessage message;
  if (bytes.empty()) return message;
  Result<Buffer> buffer = allocator.Allocate(bytes.size());
  if (!buffer.ok()) return buffer.status();
  std::memcpy(buffer->writable().data(), bytes.data(), bytes.size());
  message.text = Slice(*std::move(buffer));
  message.pieces.push_back({.text_bytes = bytes.size()});
  return message;
}

}  // namespace despina::grpc
