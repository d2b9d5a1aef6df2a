#include "frontend/body.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/text.h"
#include "protocol/infer_json.h"

namespace despina::frontend {

Status OverBudget(const Budget& budget) {
  return {Code::kResourceExhausted, Concat("requests in flight hold more than the limit of ",
                                           budget.limit(), " bytes; try again later")};
}

Status Body::Allocate(size_t size, uint64_t aligned) {
  const size_t start = (kDataAlignment - aligned % kDataAlignment) % kDataAlignment;
  Result<Buffer> buffer = allocator_.Allocate(start + size + protocol::kJsonPadding);
  if (!buffer.ok()) return buffer.status();
  buffer_ = *std::move(buffer);
  start_ = start;
  capacity_ = size;
  return Ok();
}

std::span<std::byte> Body::space() {
  return buffer_.writable().subspan(start_ + size_, capacity_ - size_);
}

Status Body::Commit(size_t size) {
  Status status = Charge(size_ + size);
  if (status.ok()) size_ += size;
  return status;
}

Status Body::Charge(uint64_t bytes) {
  if (charge_.RaiseTo(bytes)) return Ok();
  return OverBudget(charge_.budget());
}

Status Body::ChargeBesides(uint64_t bytes) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  const uint64_t charged = charge_.amount();
  return Charge(bytes > kMost - charged ? kMost : charged + bytes);
}

Status Body::MakeRoom(size_t size) {
  if (size <= capacity_ - size_) return Ok();
  const Slice old(std::move(buffer_));
  const size_t old_start = start_;
  const size_t needed = std::max(2 * capacity_, size_ + size);
  Status grown = Allocate(needed, kDataAlignment - old_start);
  if (!grown.ok()) return grown;
  if (size_ > 0) std::memcpy(buffer_.writable().data() + start_, old.data() + old_start, size_);
  return Ok();
}

Status Body::Append(std::span<const std::byte> bytes) {
  Status status = MakeRoom(bytes.size());
  if (!status.ok()) return status;
  if (!bytes.empty()) std::memcpy(space().data(), bytes.data(), bytes.size());
  return Commit(bytes.size());
}

Slice Body::Take() {
  const std::span<const std::byte> bytes = buffer_.writable().subspan(start_, size_);
  size_ = capacity_ = start_ = 0;
  return {std::exchange(buffer_, {}), bytes};
}

void Body::Release() {
  charge_.Release();
  buffer_ = {};
  size_ = capacity_ = start_ = 0;
}

}  // namespace despina::frontend
