#include "grpc/message_queue.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace despina::grpc {
namespace {

// Pieces that were moved before their places are used again, which are half of all at least: what
// is moved up costs no more than what was moved out.
constexpr size_t kMostMoved = 256;

}  // namespace

void MessageQueue::Append(std::variant<Prefix, Slice> piece, size_t size) {
  if (size == 0) return;
  pieces_.push_back(std::move(piece));
  size_ += size;
}

void MessageQueue::AppendPrefix(bool compressed, size_t length) {
  Prefix prefix{std::byte{compressed}};
  for (size_t i = 1; i < prefix.size(); ++i) {
    prefix[i] = static_cast<std::byte>(length >> (8 * (prefix.size() - 1 - i)));
  }
  Append(prefix, prefix.size());
}

void MessageQueue::Push(protocol::EncodedMessage&& message) {
  // Of most calls all that there will be.
  if (pieces_.empty()) pieces_.reserve(1 + 2 * message.pieces.size());
  AppendPrefix(false, message.size());
  size_t at = 0;
  for (protocol::EncodedMessage::Piece& piece : message.pieces) {
    Append(message.text.Part(at, piece.text_bytes), piece.text_bytes);
    at += piece.text_bytes;
    const size_t size = piece.data.size();
    Append(std::move(piece.data), size);
  }
}

bool MessageQueue::PushCompressed(std::span<const Slice> message, size_t plain) {
  size_t length = 0;
  for (const Slice& piece : message) length += piece.size();
  if (length >= plain) return false;
  AppendPrefix(true, length);
  for (const Slice& piece : message) Append(piece, piece.size());
  return true;
}

bool MessageQueue::Move(size_t size, Outbox& out) {
  size_ -= size;
  while (size > 0) {
    const auto& piece = pieces_[first_];
    const auto* const prefix = std::get_if<Prefix>(&piece);
    const size_t whole = prefix != nullptr ? prefix->size() : std::get<Slice>(piece).size();
    const size_t part = std::min(size, whole - moved_);
    bool added = false;
    if (prefix != nullptr) {
      added = out.Copy(std::span(*prefix).subspan(moved_, part));
    } else if (const Slice& bytes = std::get<Slice>(piece); part == whole) {
      added = out.Add(bytes);
    } else {
      added = out.Add(bytes.Part(moved_, part));
    }
    if (!added) return false;
    size -= part;
    moved_ += part;
    if (moved_ < whole) break;
    moved_ = 0;
    pieces_[first_++] = Slice();
  }
  if (size_ == 0) {
    pieces_.clear();
    first_ = 0;
  } else if (first_ >= kMostMoved && first_ >= pieces_.size() / 2) {
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return true;
}

}  // namespace despina::grpc
