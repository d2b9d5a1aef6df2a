#include "grpc/held_bytes.h"

namespace despina::grpc {

bool HeldBytes::Add(std::span<const std::byte> bytes) {
  if (!charge_.RaiseTo(bytes_.size() + bytes.size())) return false;
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return true;
}

void HeldBytes::Drop(size_t size) {
  dropped_ += size;
  if (dropped_ == bytes_.size()) return Clear();
  // Seldom, so that few bytes are moved however little is dropped at a time.
  if (dropped_ < bytes_.size() / 2) return;
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(dropped_));
  dropped_ = 0;
}

void HeldBytes::Clear() {
  bytes_ = {};
  dropped_ = 0;
  charge_.Release();
}

}  // namespace despina::grpc
