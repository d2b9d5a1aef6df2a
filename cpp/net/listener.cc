#include "net/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace despina::net {
namespace {

// Connections accepted before the others of the loop have their turn.
constexpr int kAcceptsPerTurn = 64;
// The pause after the process or the system has run out of descriptors or memory.
constexpr Duration kBackOff = std::chrono::milliseconds(100);

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

Result<Addresses> Resolve(const std::string& address, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(address.empty() ? nullptr : address.c_str(),
                                  std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    return InvalidArgument(Concat("cannot listen on ", address, ":", port, ": ",
                                  static_cast<const char*>(::gai_strerror(error))));
  }
  return Addresses(list);
}

uint16_t PortOf(const Descriptor& socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size);
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(name).sin6_port
                                          : reinterpret_cast<const sockaddr_in&>(name).sin_port);
}

// `shared`: others may listen on the same port.
Result<Descriptor> ListenOnce(const addrinfo& to, const std::string& where, bool shared) {
  Descriptor made(
      ::socket(to.ai_family, to.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to.ai_protocol));
  const int on = 1;
  ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(made.get(), to.ai_addr, to.ai_addrlen) != 0 || ::listen(made.get(), SOMAXCONN) != 0) {
    const int error = errno;
    if (error == EADDRINUSE) return Unavailable(where + " already in use");
    std::string text =
        Concat("cannot listen on ", where, ": ", std::generic_category().message(error));
    return error == EADDRNOTAVAIL ? InvalidArgument(std::move(text)) : Unavailable(std::move(text));
  }
  return made;
}

}  // namespace

Result<std::vector<ListeningSocket>> Listen(const std::string& address, uint16_t port,
                                            unsigned count) {
  const std::string where = Concat(address, ":", port);
  Result<Addresses> resolved = Resolve(address, port);
  if (!resolved.ok()) return resolved.status();

  // Any number of sockets can share a port, also with those of another process: one that does not
  // share says whether the port is in use.
  Result<Descriptor> first = ListenOnce(**resolved, where, false);
  if (!first.ok()) return first.status();
  const uint16_t chosen = PortOf(*first);
  std::vector<ListeningSocket> all;
  if (count == 1) {
    all.push_back({*std::move(first), chosen});
    return all;
  }
  *first = Descriptor();
  resolved = Resolve(address, chosen);
  if (!resolved.ok()) return resolved.status();
  for (unsigned i = 0; i < count; ++i) {
    Result<Descriptor> next = ListenOnce(**resolved, where, true);
    if (!next.ok()) return next.status();
    all.push_back({*std::move(next), chosen});
  }
  return all;
}

class Listener::Acceptor final : public Watcher, public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(Loop& loop, Descriptor listening, std::function<void(Descriptor)> accepted)
      : watch_(loop, std::move(listening)),
        back_off_(loop, [this] { Start(); }),
        accepted_(std::move(accepted)) {}

  void Start() { watch_.WaitReadable(shared_from_this()); }

  void Close() {
    back_off_.Stop();
    watch_.Close();
  }

 private:
  void OnReadable() override {
    for (int i = 0; i < kAcceptsPerTurn && watch_.open(); ++i) {
      Descriptor next(
          ::accept4(watch_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (next) {
        Accept(std::move(next));
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        return BackOff(errno);
      }
      // Anything else concerns the connection that was to be accepted, and not the next one.
    }
    if (watch_.open()) Start();
  }

  void OnWritable() override {}

  void Accept(Descriptor next) {
    if (std::exchange(backing_off_, false)) log::Info("connections are accepted again");
    const int on = 1;
    ::setsockopt(next.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    accepted_(std::move(next));
  }

  void BackOff(int error) {
    if (!std::exchange(backing_off_, true)) {
      log::Warning(
          Concat("no connections are accepted for now: ", std::generic_category().message(error)));
    }
    back_off_.Start(kBackOff);
  }

  Watch watch_;
  Timer back_off_;
  std::function<void(Descriptor)> accepted_;
  bool backing_off_ = false;
};

Listener::Listener(Loop& loop, Descriptor listening, std::function<void(Descriptor)> accepted)
    : acceptor_(std::make_shared<Acceptor>(loop, std::move(listening), std::move(accepted))) {}

Listener::~Listener() { Close(); }

void Listener::Start() { acceptor_->Start(); }

void Listener::Close() { acceptor_->Close(); }

}  // namespace despina::net
