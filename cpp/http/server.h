// The HTTP front end: listening sockets, I/O threads, and what is served on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/published.h"
#include "base/status.h"
#include "engine/submit.h"
#include "frontend/access.h"
#include "frontend/control.h"
#include "frontend/header_forwarding.h"
#include "http/cors.h"
#include "http/metrics_page.h"
#include "memory/allocator.h"
#include "memory/shared_regions.h"
#include "net/server.h"
#include "net/tls.h"

namespace despina::http {

struct Options {
  enum class Role : uint8_t { kInference, kMetrics };

  // A name or a number; IPv4 or IPv6.
  std::string address = "127.0.0.1";
  // 0: any that is free.
  uint16_t port = 8000;
  // Each has a loop of its own.
  unsigned threads = 1;
  Role role = Role::kInference;
  // Of the metrics port.
  MetricsOptions metrics{};
  // With certificate and key; null: HTTP without TLS.
  std::shared_ptr<net::TlsContext> tls{};
  // Null: nothing is restricted.
  std::shared_ptr<const frontend::AccessRules> access{};
  // Null: pages of other origins may not use the server.
  std::shared_ptr<const Cors> cors{};
  // Null: no fields of requests' heads are parameters.
  std::shared_ptr<const frontend::HeaderForwarding> forwarding{};
  // As /v2 tells them.
  std::string server_name = "despina";
  std::string server_version{};
  // A line of the log for each request.
  bool log_access = false;

  // Larger ones are answered with 413 and 431.
  size_t max_body_bytes = size_t{64} << 20;
  size_t max_header_bytes = size_t{64} << 10;
  // More are answered with 503.
  size_t max_connections = 4096;
  // Bytes of requests' bodies until they are answered, and of answers until they are sent; what
  // goes beyond is answered with 503.
  uint64_t max_bytes_in_flight = uint64_t{1} << 30;
  // From the first byte of a header to its last; 408. For a TLS handshake too.
  Duration header_timeout = std::chrono::seconds(30);
  // For each 64 KiB of a body, 408, and of an answer.
  Duration body_timeout = std::chrono::seconds(60);
  // Between requests; then the connection is closed.
  Duration idle_timeout = std::chrono::minutes(5);
  // Whether clients may lend shared memory of the system.
  bool allow_shared_memory = false;
};

// Serves HTTP from when it returns. INVALID_ARGUMENT or UNAVAILABLE "failed to start ... service:
// ..." where the address cannot be listened on, RESOURCE_EXHAUSTED where a thread or an event loop
// cannot be made. The snapshot, the queue, the regions, the allocator and the clock must outlive
// the server; the allocator also the requests that Close() left behind.
Result<std::unique_ptr<net::Server>> Serve(Options options, const Published<Snapshot>& snapshot,
                                           frontend::ControlQueue& control, SharedRegions& regions,
                                           Allocator& allocator, Clock& clock);

}  // namespace despina::http
