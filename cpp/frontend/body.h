// The body of a request while it arrives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/status.h"
#include "memory/allocator.h"
#include "memory/budget.h"
#include "memory/buffer.h"

namespace despina::frontend {

// RESOURCE_EXHAUSTED, in words for the client whose request is over the budget.
Status OverBudget(const Budget& budget);

// Bytes in one buffer, so placed that the part behind the JSON is aligned, and with bytes behind
// them that a JSON parser may read. The budget is charged for bytes that have arrived, not for
// those that a header promised; what nobody has written to takes no memory from the system.
class Body {
 public:
  Body(Allocator& allocator, Budget& budget) : allocator_(allocator), charge_(budget) {}
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  // Makes room for `size` bytes. The byte at `aligned`, counted from the first, is to lie on a
  // boundary of kDataAlignment. RESOURCE_EXHAUSTED.
  Status Allocate(size_t size, uint64_t aligned);
  // Makes the space behind the bytes that are there at least so large. RESOURCE_EXHAUSTED.
  Status MakeRoom(size_t size);
  bool allocated() const { return static_cast<bool>(buffer_); }
  // Room for bytes that have not arrived.
  std::span<std::byte> space();
  // So many bytes have been written to the space. RESOURCE_EXHAUSTED when the budget is spent.
  Status Commit(size_t size);
  // Copies bytes behind those that are there, making room for them. RESOURCE_EXHAUSTED.
  Status Append(std::span<const std::byte> bytes);
  size_t size() const { return size_; }

  // The bytes; the charge stays until Release() or TakeCharge().
  Slice Take();
  despina::Charge TakeCharge() { return std::move(charge_); }
  // Makes the charge at least `bytes`, until Release(). RESOURCE_EXHAUSTED when the budget is
  // spent; then it stays as it is.
  Status Charge(uint64_t bytes);
  // Adds so much to the charge.
  Status ChargeBesides(uint64_t bytes);
  void Release();

 private:
  Allocator& allocator_;
  despina::Charge charge_;
  Buffer buffer_;
  // Of the first byte in the buffer.
  size_t start_ = 0;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

}  // namespace despina::frontend
