// Listening sockets of one port, the threads of their event loops, and the connections on these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "memory/budget.h"
#include "net/loop.h"
#include "net/protocol.h"
#include "net/tls.h"

namespace despina::net {

// What is served on one loop. Made before the loop runs and destroyed when it has ended; all else
// happens on the loop's thread.
class LoopService {
 public:
  virtual ~LoopService() = default;
  // What a new connection speaks. `crowded`: the server has its limit of connections, and this one
  // is to be told so.
  virtual std::shared_ptr<Protocol> Accept(const Descriptor& client, bool crowded) = 0;
  // From time to time: see ServerOptions::tick.
  virtual void OnTick() = 0;
  // The connections are closed, and the loop's thread is about to end.
  virtual void OnEnding() = 0;
};

struct ServerOptions {
  // In errors, and of the threads.
  std::string name;
  // A name or a number; IPv4 or IPv6.
  std::string address = "127.0.0.1";
  // 0: any that is free.
  uint16_t port = 0;
  // Each has a loop of its own.
  unsigned threads = 1;
  // With certificate and key; null: without TLS.
  std::shared_ptr<TlsContext> tls{};
  // A few more are told that they are too many, others closed without a word.
  size_t max_connections = 4096;
  // Of a TLS handshake.
  Duration opening_timeout = std::chrono::seconds(30);
  // How often deadlines of connections are looked at.
  Duration tick = std::chrono::seconds(1);
  // Of what the connections hold.
  std::shared_ptr<const Budget> bytes_in_flight;
};

// The functions are called on the thread that started the server, or one after the other.
class Server {
 public:
  class Impl;
  using MakeService = std::function<std::unique_ptr<LoopService>(const std::shared_ptr<Loop>&)>;

  // Start() makes servers.
  explicit Server(std::unique_ptr<Impl> impl);
  // Serves when it returns. INVALID_ARGUMENT or UNAVAILABLE "failed to start <name> service: ..."
  // where the address cannot be listened on, RESOURCE_EXHAUSTED where a thread or an event loop
  // cannot be made. The clock must outlive the server.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, const MakeService& make,
                                               Clock& clock);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Closes without waiting.
  ~Server();

  uint16_t port() const;
  size_t connections() const;
  uint64_t bytes_in_flight() const;

  // No connection is accepted any more, and the others are told so: see Protocol::OnStopping().
  void StopAccepting();
  // Stops accepting, waits until all connections are closed or until `deadline`, closes those that
  // are left and joins the threads. False when any were left. May be called again.
  bool Close(TimePoint deadline);

 private:
  const std::unique_ptr<Impl> impl_;
};

}  // namespace despina::net
