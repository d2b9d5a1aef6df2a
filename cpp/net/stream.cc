#include "net/stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace despina::net {
namespace {

// Pieces given to one system call.
constexpr size_t kPiecesPerSend = 64;

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Stream::Moved PlainStream::Read(std::span<std::byte> space) {
  const ssize_t received = ::recv(descriptor_, space.data(), space.size(), MSG_DONTWAIT);
  if (received > 0) {
    const auto size = static_cast<size_t>(received);
    return {size, size == space.size() ? Next::kAtOnce : Next::kWhenReadable};
  }
  if (received < 0 && errno == EINTR) return {};
  return {0, received < 0 && WouldBlock(errno) ? Next::kWhenReadable : Next::kNever};
}

Stream::Moved PlainStream::Write(std::span<const std::span<const std::byte>> pieces) {
  std::array<iovec, kPiecesPerSend> vectors;
  msghdr message{};
  message.msg_iov = vectors.data();
  for (const std::span<const std::byte> piece : pieces) {
    if (message.msg_iovlen == vectors.size()) break;
    // sendmsg() only reads; its type says otherwise.
    vectors[message.msg_iovlen++] = {const_cast<std::byte*>(piece.data()), piece.size()};
  }
  const ssize_t sent = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return {static_cast<size_t>(sent), Next::kAtOnce};
  if (errno == EINTR) return {};
  return {0, WouldBlock(errno) ? Next::kWhenWritable : Next::kNever};
}

Stream::Next PlainStream::EndSending() {
  ::shutdown(descriptor_, SHUT_WR);
  return Next::kAtOnce;
}

}  // namespace despina::net
