// Reference-counted memory, and views that keep it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

namespace despina {

// What data handed to a backend is aligned to.
inline constexpr size_t kDataAlignment = 64;

// Memory that someone owns. Made with one reference; when the last is dropped, on whatever thread
// that happens, Release() gives the memory back.
class Block {
 public:
  Block(std::byte* data, size_t size) : data_(data), size_(size) {}
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void AddReference() { references_.fetch_add(1, std::memory_order_relaxed); }
  void DropReference() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) Release();
  }

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 protected:
  virtual ~Block() = default;
  // Any thread; must not throw, and must not touch the block afterwards.
  virtual void Release() noexcept = 0;
  // For blocks that are handed out again.
  void Renew(size_t size) {
    size_ = size;
    references_.store(1, std::memory_order_relaxed);
  }

 private:
  std::atomic<uint32_t> references_{1};
  std::byte* data_;
  size_t size_;
};

// Shared ownership of a block.
class Buffer {
 public:
  Buffer() = default;
  // Takes over the reference with which the block was made.
  explicit Buffer(Block* block) : block_(block) {}
  Buffer(const Buffer& other) : block_(other.block_) {
    if (block_) block_->AddReference();
  }
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Buffer() {
    if (block_) block_->DropReference();
  }

  explicit operator bool() const { return block_ != nullptr; }
  const std::byte* data() const { return block_ ? block_->data() : nullptr; }
  size_t size() const { return block_ ? block_->size() : 0; }
  // For the one who fills the buffer, before it is shared.
  std::span<std::byte> writable() {
    return block_ ? std::span(block_->data(), block_->size()) : std::span<std::byte>();
  }

 private:
  Block* block_ = nullptr;
};

// Part of a buffer, which it keeps.
class Slice {
 public:
  Slice() = default;
  explicit Slice(Buffer buffer)
      : buffer_(std::move(buffer)), bytes_(buffer_.data(), buffer_.size()) {}
  // `bytes` must lie within `buffer`, or outlive everybody.
  Slice(Buffer buffer, std::span<const std::byte> bytes)
      : buffer_(std::move(buffer)), bytes_(bytes) {}

  const std::byte* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  std::span<const std::byte> bytes() const { return bytes_; }
  const Buffer& buffer() const { return buffer_; }

  // Precondition: offset + size lie within the slice.
  Slice Part(size_t offset, size_t size) const { return {buffer_, bytes_.subspan(offset, size)}; }

  bool aligned() const { return reinterpret_cast<uintptr_t>(data()) % kDataAlignment == 0; }

 private:
  Buffer buffer_;
  std::span<const std::byte> bytes_;
};

}  // namespace despina
