// Listening sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/descriptor.h"
#include "net/loop.h"

namespace despina::net {

// A socket that listens, and whose loop is not known yet.
struct ListeningSocket {
  Descriptor descriptor;
  // The one that the system chose where 0 was asked for.
  uint16_t port = 0;
};

// Makes `count` sockets that listen on one port, among which the system divides the connections.
// `address` is a name or a number of IPv4 or IPv6; port 0: any that is free. UNAVAILABLE
// "<address>:<port> already in use", INVALID_ARGUMENT for an address that is not this machine's.
Result<std::vector<ListeningSocket>> Listen(const std::string& address, uint16_t port,
                                            unsigned count);

// Accepts connections. The loop's thread only.
class Listener {
 public:
  // `accepted` gets each new connection, with TCP_NODELAY set.
  Listener(Loop& loop, Descriptor listening, std::function<void(Descriptor)> accepted);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  void Start();
  // Connections that were not accepted yet are reset by the system.
  void Close();

 private:
  class Acceptor;
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace despina::net
