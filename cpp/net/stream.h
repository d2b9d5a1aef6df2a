// Bytes in and out of one socket, as they are or through TLS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace despina::net {

// Waits for nothing. The descriptor is the connection's, and outlives the stream. The loop's thread
// only.
class Stream {
 public:
  // When to call again.
  enum class Next : uint8_t {
    kAtOnce,
    kWhenReadable,
    kWhenWritable,
    // The peer has gone, or the stream has failed.
    kNever,
  };
  struct Moved {
    size_t size = 0;
    Next next = Next::kAtOnce;
  };

  virtual ~Stream() = default;

  // To be called until it says kAtOnce; then bytes can be moved.
  virtual Next Open() = 0;
  // Fills the space, or the beginning of it. With kWhenReadable or kAtOnce there may be bytes too.
  virtual Moved Read(std::span<std::byte> space) = 0;
  // Sends the beginning of the pieces. After kWhenWritable or kWhenReadable the next call must
  // begin with the same bytes, and may have more behind them.
  virtual Moved Write(std::span<const std::span<const std::byte>> pieces) = 0;
  // Tells the peer that nothing more will be sent; kAtOnce when that is done.
  virtual Next EndSending() = 0;
  // The same as far as it can be done now, since the descriptor is about to be closed.
  virtual void OnClosing() = 0;

  // There is something to be read of which the socket will not tell.
  virtual bool HoldsInput() const = 0;
};

class PlainStream final : public Stream {
 public:
  explicit PlainStream(int descriptor) : descriptor_(descriptor) {}

  Next Open() override { return Next::kAtOnce; }
  Moved Read(std::span<std::byte> space) override;
  Moved Write(std::span<const std::span<const std::byte>> pieces) override;
  Next EndSending() override;
  void OnClosing() override {}
  bool HoldsInput() const override { return false; }

 private:
  const int descriptor_;
};

}  // namespace despina::net
