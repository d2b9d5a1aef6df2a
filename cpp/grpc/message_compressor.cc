#include "grpc/message_compressor.h"

#include <span>
#include <utility>
#include <vector>

namespace despina::grpc {
namespace {

std::vector<std::span<const std::byte>> PiecesOf(const protocol::EncodedMessage& message) {
  std::vector<std::span<const std::byte>> pieces;
  pieces.reserve(2 * message.pieces.size());
  size_t at = 0;
  for (const protocol::EncodedMessage::Piece& piece : message.pieces) {
    pieces.push_back(std::span(message.text).subspan(at, piece.text_bytes));
    pieces.push_back(piece.data.bytes());
    at += piece.text_bytes;
  }
  return pieces;
}

}  // namespace

void MessageCompressor::Push(protocol::EncodedMessage message) {
  size_ += message.size();
  messages_.push_back(std::move(message));
}

bool MessageCompressor::Continue(size_t& most, MessageQueue& out) {
  for (; !messages_.empty(); messages_.pop_front()) {
    protocol::EncodedMessage& message = messages_.front();
    if (!compressor_) compressor_.emplace(PiecesOf(message), coding_, level_, allocator_);
    if (!compressor_->Continue(most)) return false;
    const std::optional<std::vector<Slice>> compressed = compressor_->Take();
    compressor_.reset();
    const size_t size = message.size();
    size_ -= size;
    if (!compressed || !out.PushCompressed(*compressed, size)) out.Push(std::move(message));
  }
  return true;
}

}  // namespace despina::grpc
