// What the sessions of one server have in common.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "frontend/field_filter.h"
#include "memory/allocator.h"
#include "memory/budget.h"

namespace despina::grpc {

// Which pings are sent to clients, and how many they may send.
struct KeepaliveOptions {
  // After so long without a byte from the client it is asked whether it is there.
  Duration time = std::chrono::hours(2);
  // It has so long to answer.
  Duration timeout = std::chrono::seconds(20);
  // Also when there is no call.
  bool permit_without_calls = false;
  // So many, until a call has something to tell again; 0: any number.
  unsigned max_pings_without_data = 2;
  // Pings that come sooner than this after the one before are strikes, unless something was sent to
  // the client in between. Without calls that are not permitted it is two hours.
  Duration min_ping_interval = std::chrono::minutes(5);
  // With more the connection is ended; 0: any number.
  unsigned max_ping_strikes = 2;
};

struct SessionLimits {
  size_t max_message_bytes = (size_t{1} << 31) - 1;
  // Of those that are no inference: what is in them is parsed by the control plane.
  size_t max_control_bytes = size_t{64} << 20;
  size_t max_header_bytes = size_t{64} << 10;
  uint32_t max_concurrent_streams = 1024;
  // What nghttp2 may hold of a connection, and this much more for each of these streams: frames
  // that wait, fields of answers, tables. A connection that would need more is ended.
  size_t session_bytes = size_t{4} << 20;
  size_t stream_bytes = size_t{16} << 10;
  // Until the client has said that it speaks HTTP/2.
  Duration opening_timeout = std::chrono::seconds(30);
  // For 64 KiB of a message to arrive; five times as long for any of an answer to be taken.
  Duration message_timeout = std::chrono::seconds(60);
  KeepaliveOptions keepalive{};
  // After the one the client is told to connect anew, after the other calls that still run are
  // ended.
  Duration max_age = Duration::max();
  Duration max_age_grace = Duration::max();
};

// What the sessions of one server share.
struct SessionEnvironment {
  SessionEnvironment(const SessionLimits& the_limits, uint64_t max_bytes_in_flight,
                     Allocator& the_allocator, const Clock& the_clock)
      : limits(the_limits),
        bytes_in_flight(max_bytes_in_flight),
        allocator(the_allocator),
        clock(the_clock) {}

  const SessionLimits limits;
  Budget bytes_in_flight;
  Allocator& allocator;
  const Clock& clock;
  // Of zlib, for the answers of inference; 0: they are not compressed. Set before there is a
  // session.
  int compression_level = 0;
  // What is wanted of calls' heads. Set before there is a session.
  frontend::FieldFilter fields{};
};

}  // namespace despina::grpc
