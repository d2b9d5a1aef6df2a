#include "grpc/service.h"

#include <cstring>

namespace despina::grpc {

protocol::EncodedMessage MessageOf(std::string_view bytes) {
  protocol::EncodedMessage message;
  if (bytes.empty()) return message;
  message.text.resize(bytes.size());
  std::memcpy(message.text.data(), bytes.data(), bytes.size());
  message.pieces.push_back({.text_bytes = bytes.size()});
  return message;
}

}  // namespace despina::grpc
