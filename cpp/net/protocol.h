// What a connection speaks, as a state machine that does no I/O itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"

namespace despina::net {

// What a protocol sees of its connection. The loop's thread only.
class Transport {
 public:
  // Asks the protocol anew for its output, its space and its phase. Nothing happens at once when
  // it is called from within one of the protocol's functions.
  virtual void Resume() = 0;

 protected:
  ~Transport() = default;
};

// All functions are called on the loop's thread.
class Protocol {
 public:
  enum class Phase : uint8_t {
    kOpen,
    // All output was sent and there will be no more. What the peer still sends is read: closing
    // before that would make the system take back what the peer has not read yet.
    kDraining,
    // The connection is to be closed now.
    kDone,
  };

  virtual ~Protocol() = default;

  // Before anything else. `transport` is good until OnClosed().
  virtual void OnOpened(Transport& transport) = 0;
  // After everything else, whoever closed. That the peer has ended its sending side counts as the
  // peer having gone: what it has asked for is cancelled.
  virtual void OnClosed() = 0;

  // Where the next bytes go; empty: none are wanted now. Asked for each read.
  virtual std::span<std::byte> ReadSpace() = 0;
  // So many bytes lie in the space that was asked for last.
  virtual void OnRead(size_t size) = 0;

  // What is to be sent now; good until the next call of any other function.
  virtual std::span<const std::span<const std::byte>> Output() = 0;
  // The first `size` bytes of the output have been sent.
  virtual void OnWritten(size_t size) = 0;

  virtual Phase phase() const = 0;
  // When OnDeadline() is to be called; it may come late.
  virtual TimePoint deadline() const = 0;
  virtual void OnDeadline() = 0;
  // The server takes nothing new: close when nothing is left to be answered.
  virtual void OnStopping() = 0;
};

}  // namespace despina::net
