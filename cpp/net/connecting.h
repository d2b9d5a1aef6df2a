// Connections to others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/connection.h"

namespace despina::net {

// Where a server listens, as the system has it.
class Endpoint {
 public:
  // A name or a number of IPv4 or IPv6. UNAVAILABLE: the name is not known. Blocks while the name
  // is looked up.
  static Result<Endpoint> Resolve(const std::string& host, uint16_t port);

  // "127.0.0.1:8000"
  const std::string& text() const { return text_; }

 private:
  friend Result<Accepted> Connect(const Endpoint&, std::function<void(const std::string&)>);

  Endpoint() = default;

  std::string text_;
  int family_ = 0;
  std::vector<std::byte> address_;
};

// Begins to connect, for a Connection whose opening ends when the server has taken it. `failed` is
// called with the reason if it does not, before the connection is closed. UNAVAILABLE: the system
// has no descriptors left.
Result<Accepted> Connect(const Endpoint& to, std::function<void(const std::string&)> failed);

}  // namespace despina::net
