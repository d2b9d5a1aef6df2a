#include "grpc/service.h"

#include <span>

namespace despina::grpc {

protocol::EncodedMessage MessageOf(std::string_view bytes) {
  protocol::EncodedMessage message;
  if (bytes.empty()) return message;
  const std::span<const std::byte> text = std::as_bytes(std::span(bytes.data(), bytes.size()));
  message.text.assign(text.begin(), text.end());
  message.pieces.push_back({.text_bytes = bytes.size()});
  return message;
}

}  // namespace despina::grpc
