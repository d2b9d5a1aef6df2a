#include "net/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

namespace despina::net {
namespace {

// Reads of one connection before the others of its loop have their turn.
constexpr int kReadsPerTurn = 8;
// Pieces given to one system call.
constexpr size_t kPiecesPerSend = 64;

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Connection::Connection(Loop& loop, Descriptor descriptor, std::shared_ptr<Protocol> protocol,
                       std::function<void(Connection&)> closed)
    : watch_(loop, std::move(descriptor)),
      protocol_(std::move(protocol)),
      closed_(std::move(closed)) {}

void Connection::Start() {
  started_ = true;
  protocol_->OnOpened(*this);
  if (!watch_.open()) return Close();
  Settle();
}

void Connection::CheckDeadline(TimePoint now) {
  if (now < protocol_->deadline()) return;
  protocol_->OnDeadline();
  Settle();
}

void Connection::StopWhenIdle() {
  protocol_->OnStopping();
  Settle();
}

void Connection::Close() {
  if (!std::exchange(started_, false)) return;
  watch_.Close();
  protocol_->OnClosed();
  closed_(*this);
}

void Connection::OnReadable() {
  settling_ = true;
  for (int i = 0; i < kReadsPerTurn && watch_.open(); ++i) {
    if (!Receive()) break;
    Send();
  }
  settling_ = false;
  Settle();
}

bool Connection::Receive() {
  const std::span<std::byte> space = protocol_->ReadSpace();
  if (space.empty()) return false;
  const ssize_t received = ::recv(watch_.descriptor(), space.data(), space.size(), MSG_DONTWAIT);
  if (received > 0) {
    protocol_->OnRead(static_cast<size_t>(received));
    return static_cast<size_t>(received) == space.size();
  }
  if (received < 0 && errno == EINTR) return true;
  if (received == 0 || !WouldBlock(errno)) Close();
  return false;
}

void Connection::Send() {
  while (watch_.open() && !watch_.waits_to_write()) {
    const auto output = protocol_->Output();
    if (output.empty()) return;
    std::array<iovec, kPiecesPerSend> pieces;
    msghdr message{};
    message.msg_iov = pieces.data();
    for (const std::span<const std::byte> piece : output) {
      if (message.msg_iovlen == pieces.size()) break;
      // sendmsg() only reads; its type says otherwise.
      pieces[message.msg_iovlen++] = {const_cast<std::byte*>(piece.data()), piece.size()};
    }
    const ssize_t sent = ::sendmsg(watch_.descriptor(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      protocol_->OnWritten(static_cast<size_t>(sent));
    } else if (WouldBlock(errno)) {
      watch_.WaitWritable(shared_from_this());
    } else if (errno != EINTR) {
      Close();
    }
  }
}

void Connection::Settle() {
  if (settling_ || !watch_.open()) return;
  // Sending may find out that the peer has gone, and drop all other references.
  std::shared_ptr<Connection> keep = shared_from_this();
  settling_ = true;
  Send();
  settling_ = false;
  if (!watch_.open()) return;
  const Protocol::Phase phase = protocol_->phase();
  if (phase == Protocol::Phase::kDone) return Close();
  if (phase == Protocol::Phase::kDraining && !std::exchange(sending_ended_, true)) {
    ::shutdown(watch_.descriptor(), SHUT_WR);
  }
  if (!protocol_->ReadSpace().empty()) watch_.WaitReadable(std::move(keep));
}

void ConnectionSet::Add(Descriptor descriptor, std::shared_ptr<Protocol> protocol) {
  const auto added = std::make_shared<Connection>(loop_, std::move(descriptor), std::move(protocol),
                                                  [this](Connection& gone) {
                                                    connections_.erase(gone.shared_from_this());
                                                    removed_();
                                                  });
  connections_.insert(added);
  added->Start();
}

void ConnectionSet::ForEach(const std::function<void(Connection&)>& action) {
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const auto& each : all) action(*each);
}

void ConnectionSet::CheckDeadlines(TimePoint now) {
  ForEach([now](Connection& each) { each.CheckDeadline(now); });
}

void ConnectionSet::StopWhenIdle() {
  ForEach([](Connection& each) { each.StopWhenIdle(); });
}

void ConnectionSet::CloseAll() {
  ForEach([](Connection& each) { each.Close(); });
}

}  // namespace despina::net
