#include "net/connecting.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/text.h"

namespace despina::net {
namespace {

// Open once the server has taken the connection.
class ConnectingStream final : public Stream {
 public:
  ConnectingStream(int descriptor, bool connected, std::function<void(const std::string&)> failed)
      : descriptor_(descriptor),
        waited_(connected),
        failed_(std::move(failed)),
        plain_(descriptor) {}

  Next Open() override {
    if (!std::exchange(waited_, true)) return Next::kWhenWritable;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return Next::kAtOnce;
    failed_(std::generic_category().message(error));
    return Next::kNever;
  }
  Moved Read(std::span<std::byte> space) override { return plain_.Read(space); }
  Moved Write(std::span<const std::span<const std::byte>> pieces) override {
    return plain_.Write(pieces);
  }
  Next EndSending() override { return plain_.EndSending(); }
  void OnClosing() override {}
  bool HoldsInput() const override { return false; }

 private:
  const int descriptor_;
  bool waited_;
  const std::function<void(const std::string&)> failed_;
  PlainStream plain_;
};

}  // namespace

Result<Endpoint> Endpoint::Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    return Unavailable(Concat(host, ": ", static_cast<const char*>(::gai_strerror(error))));
  }
  Endpoint found;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  found.text_ = Concat(is_ipv6 ? "[" : "", host, is_ipv6 ? "]:" : ":", port);
  found.family_ = list->ai_family;
  const auto* bytes = reinterpret_cast<const std::byte*>(list->ai_addr);
  found.address_.assign(bytes, bytes + list->ai_addrlen);
  ::freeaddrinfo(list);
  return found;
}

Result<Accepted> Connect(const Endpoint& to, std::function<void(const std::string&)> failed) {
  Descriptor made(::socket(to.family_, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return Unavailable(std::generic_category().message(errno));
  const int on = 1;
  ::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* address = reinterpret_cast<const sockaddr*>(to.address_.data());
  const int done = ::connect(made.get(), address, static_cast<socklen_t>(to.address_.size()));
  if (done != 0 && errno != EINPROGRESS) return Unavailable(std::generic_category().message(errno));
  const int number = made.get();
  return Accepted{
      .descriptor = std::move(made),
      .stream = std::make_unique<ConnectingStream>(number, done == 0, std::move(failed))};
}

}  // namespace despina::net
