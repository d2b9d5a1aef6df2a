#include "grpc/message_queue.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace despina::grpc {
namespace {

// Messages that were moved before their places are used again, which are half of all at least: what
// is moved up costs no more than what was moved out.
constexpr size_t kMostMoved = 256;

}  // namespace

void MessageQueue::Append(bool compressed, size_t length, protocol::EncodedMessage&& message) {
  Queued& queued = messages_.emplace_back();
  queued.prefix[0] = std::byte{compressed};
  for (size_t i = 1; i < queued.prefix.size(); ++i) {
    queued.prefix[i] = static_cast<std::byte>(length >> (8 * (queued.prefix.size() - 1 - i)));
  }
  queued.message = std::move(message);
  size_ += queued.prefix.size() + length;
}

void MessageQueue::Push(protocol::EncodedMessage&& message) {
  const size_t length = message.size();
  Append(false, length, std::move(message));
}

bool MessageQueue::PushCompressed(std::span<const Slice> message, size_t plain) {
  protocol::EncodedMessage compressed;
  for (const Slice& piece : message) compressed.pieces.push_back({.data = piece});
  const size_t length = compressed.size();
  if (length >= plain) return false;
  Append(true, length, std::move(compressed));
  return true;
}

MessageQueue::Part MessageQueue::CurrentPart() const {
  const auto& [prefix, message] = messages_[first_];
  if (part_ == 0) return {prefix};
  const protocol::EncodedMessage::Piece& piece = message.pieces[(part_ - 1) / 2];
  if (part_ % 2 == 0) return {piece.data.bytes(), &piece.data};
  return {std::span(message.text).subspan(text_at_, piece.text_bytes)};
}

void MessageQueue::EndPart() {
  moved_ = 0;
  auto& pieces = messages_[first_].message.pieces;
  if (part_ % 2 == 1) {
    text_at_ += pieces[part_ / 2].text_bytes;
  } else if (part_ > 0) {
    pieces[part_ / 2 - 1].data = {};
  }
  if (part_++ < 2 * pieces.size()) return;
  messages_[first_++] = {};
  part_ = text_at_ = 0;
}

bool MessageQueue::Move(size_t size, Outbox& out) {
  size_ -= size;
  while (size > 0) {
    const auto [bytes, data] = CurrentPart();
    const size_t taken = std::min(size, bytes.size() - moved_);
    bool added = false;
    if (data == nullptr) {
      added = out.Copy(bytes.subspan(moved_, taken));
    } else if (taken == bytes.size()) {
      added = out.Add(*data);
    } else {
      added = out.Add(data->Part(moved_, taken));
    }
    if (!added) return false;
    size -= taken;
    moved_ += taken;
    if (moved_ == bytes.size()) EndPart();
  }
  if (size_ == 0) {
    messages_.clear();
    first_ = part_ = moved_ = text_at_ = 0;
  } else if (first_ >= kMostMoved && first_ >= messages_.size() / 2) {
    messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return true;
}

}  // namespace despina::grpc
