#include "net/peer.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <string_view>

#include "base/text.h"

namespace despina::net {

std::string PeerText(const Descriptor& connected) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  auto* const address = reinterpret_cast<sockaddr*>(&name);
  if (::getpeername(connected.get(), address, &size) != 0) return {};
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(address, size, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  const std::string_view number = host.data();
  const bool ipv6 = name.ss_family == AF_INET6;
  return Concat(ipv6 ? "[" : "", number, ipv6 ? "]:" : ":", std::string_view(port.data()));
}

}  // namespace despina::net
