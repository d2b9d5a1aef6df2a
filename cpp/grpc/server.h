// The gRPC front end: listening sockets, I/O threads, and what is served on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/published.h"
#include "base/status.h"
#include "engine/submit.h"
#include "frontend/access.h"
#include "frontend/control.h"
#include "frontend/header_forwarding.h"
#include "grpc/environment.h"
#include "memory/allocator.h"
#include "memory/shared_regions.h"
#include "net/tls.h"

namespace despina::grpc {

struct Options {
  // A name or a number; IPv4 or IPv6.
  std::string address = "127.0.0.1";
  // 0: any that is free.
  uint16_t port = 8001;
  // Each has a loop of its own.
  unsigned threads = 1;
  // With certificate and key; null: without TLS.
  std::shared_ptr<net::TlsContext> tls{};
  // Null: nothing is restricted.
  std::shared_ptr<const frontend::AccessRules> access{};
  // Null: no metadata of calls are parameters.
  std::shared_ptr<const frontend::HeaderForwarding> forwarding{};
  // As ServerMetadata tells them.
  std::string server_name = "despina";
  std::string server_version{};

  SessionLimits limits{};
  // More are told so, and closed.
  size_t max_connections = 4096;
  // Bytes of calls' messages until they are answered, and of answers until they are sent; what goes
  // beyond is answered with RESOURCE_EXHAUSTED.
  uint64_t max_bytes_in_flight = uint64_t{1} << 30;
  // A google.protobuf.FileDescriptorProto each, for server reflection.
  std::vector<std::string> descriptors{};
  // Of zlib, for responses of inference; 0: they are not compressed.
  int compression_level = 0;
  // Whether clients may lend shared memory of the system.
  bool allow_shared_memory = false;
  // A line of the log for each call.
  bool log_access = false;
};

// The functions are called on the thread that started the server, or one after the other.
class Server {
 public:
  class Impl;
  // Start() makes servers.
  explicit Server(std::unique_ptr<Impl> impl);
  // Serves when it returns. INVALID_ARGUMENT or UNAVAILABLE "failed to start GRPC service: ..."
  // where the address cannot be listened on, RESOURCE_EXHAUSTED where a thread or an event loop
  // cannot be made, INVALID_ARGUMENT for descriptors that are malformed. The snapshot, the queue,
  // the regions, the allocator and the clock must outlive the server; the allocator also the
  // requests that Close() left behind.
  static Result<std::unique_ptr<Server>> Start(Options options, const Published<Snapshot>& snapshot,
                                               frontend::ControlQueue& control,
                                               SharedRegions& regions, Allocator& allocator,
                                               Clock& clock);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Closes without waiting.
  ~Server();

  uint16_t port() const;
  size_t connections() const;
  uint64_t bytes_in_flight() const;

  // No connection is accepted and no call begun any more: clients are told so, and connections end
  // when their calls have.
  void StopAccepting();
  // Stops accepting, waits until all connections are closed or until `deadline`, closes those that
  // are left, cancelling their calls, and joins the threads. False when any were left. May be
  // called again.
  bool Close(TimePoint deadline);

 private:
  const std::unique_ptr<Impl> impl_;
};

}  // namespace despina::grpc
