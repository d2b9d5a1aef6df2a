#include "grpc/message_reader.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "protocol/infer_proto.h"

namespace despina::grpc {
namespace {

// The first buffer of what is decompressed.
constexpr size_t kFirstBuffer = size_t{64} << 10;
// What a message is charged for at its beginning, if it is as large: a promise of 2 GiB takes no
// memory, but addresses, and a process has no more of them than for about 60000 such promises.
constexpr size_t kBeginning = size_t{64} << 10;

Status StatusOf(const frontend::Refusal& refusal) {
  using Reason = frontend::Refusal::Reason;
  const Code code =
      refusal.reason == Reason::kMalformed ? Code::kInternal : Code::kResourceExhausted;
  return {code, refusal.message};
}

}  // namespace

Result<std::optional<Message>> MessageReader::Next(std::span<const std::byte>& bytes) {
  const auto take = [&bytes](size_t most) {
    const std::span<const std::byte> taken = bytes.first(std::min(most, bytes.size()));
    bytes = bytes.subspan(taken.size());
    return taken;
  };
  if (prefix_size_ < kPrefix) {
    const std::span<const std::byte> part = take(kPrefix - prefix_size_);
    std::ranges::copy(part, prefix_.begin() + static_cast<std::ptrdiff_t>(prefix_size_));
    prefix_size_ += part.size();
    if (prefix_size_ < kPrefix) return std::optional<Message>();
  }
  if (!body_) {
    // Not before the message's beginning can be seen.
    if (bytes.empty() && Length() > 0) return std::optional<Message>();
    if (Status status = Begin(bytes); !status.ok()) return status;
  }
  const std::span<const std::byte> part = take(left_);
  left_ -= part.size();
  if (Status status = Add(part); !status.ok()) return status;
  if (left_ > 0) return std::optional<Message>();
  return Finish();
}

size_t MessageReader::Length() const {
  size_t length = 0;
  for (const std::byte each : std::span(prefix_).subspan(1)) {
    length = length << 8U | std::to_integer<size_t>(each);
  }
  return length;
}

Status MessageReader::Begin(std::span<const std::byte> beginning) {
  left_ = Length();
  const auto flag = std::to_integer<unsigned>(prefix_[0]);
  if (flag > 1) return Internal(Concat("a message begins with ", flag, ", which is no flag"));
  if (flag == 1 && !compressed_) {
    return Internal("a message is compressed, and grpc-encoding does not say how");
  }
  if (left_ > limits_.max_bytes) {
    return {Code::kResourceExhausted,
            Concat("Received message larger than max (", left_, " vs. ", limits_.max_bytes, ")")};
  }
  body_.emplace(allocator_, budget_);
  // With what is besides, so that a message that is small is charged once.
  const size_t beginning_charge = std::min(left_, kBeginning) + limits_.charged_besides;
  if (Status status = body_->Charge(beginning_charge); !status.ok()) return status;
  if (flag == 1) {
    decompressor_.emplace(limits_.max_bytes);
    return body_->Allocate(kFirstBuffer, 0);
  }
  const uint64_t aligned =
      protocol::RawContentsOffset(beginning.first(std::min(left_, beginning.size()))).value_or(0);
  return body_->Allocate(left_, aligned);
}

Status MessageReader::Add(std::span<const std::byte> bytes) {
  if (!decompressor_) return body_->Append(bytes);
  if (bytes.empty()) return Ok();
  const std::optional<frontend::Refusal> refusal = decompressor_->Append(bytes, *body_);
  return refusal ? StatusOf(*refusal) : Ok();
}

Result<std::optional<Message>> MessageReader::Finish() {
  if (decompressor_) {
    const std::optional<frontend::Refusal> refusal = decompressor_->Finish();
    decompressor_.reset();
    if (refusal) return StatusOf(*refusal);
  }
  const size_t whole = body_->size() + limits_.charged_besides;
  if (Status status = body_->Charge(whole); !status.ok()) return status;
  Message message{.bytes = body_->Take(), .charge = body_->TakeCharge()};
  body_.reset();
  prefix_size_ = 0;
  return std::optional(std::move(message));
}

}  // namespace despina::grpc
