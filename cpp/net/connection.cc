#include "net/connection.h"

#include <utility>
#include <vector>

namespace despina::net {
namespace {

// Reads of one connection before the others of its loop have their turn.
constexpr int kReadsPerTurn = 8;

}  // namespace

using Next = Stream::Next;

Connection::Connection(Loop& loop, Accepted accepted, std::shared_ptr<Protocol> protocol,
                       std::function<void(Connection&)> closed)
    : loop_(loop),
      watch_(loop, std::move(accepted.descriptor)),
      stream_(std::move(accepted.stream)),
      opening_deadline_(accepted.opening_deadline),
      protocol_(std::move(protocol)),
      closed_(std::move(closed)) {}

void Connection::Start() {
  started_ = true;
  if (!watch_.open()) return Close();
  Open();
}

void Connection::Open() {
  const Next next = stream_->Open();
  if (next == Next::kNever) return Close();
  if (next == Next::kWhenReadable) return watch_.WaitReadable(shared_from_this());
  if (next == Next::kWhenWritable) return watch_.WaitWritable(shared_from_this());
  opened_ = true;
  protocol_->OnOpened(*this);
  Settle();
}

void Connection::CheckDeadline(TimePoint now) {
  if (!opened_) {
    if (now >= opening_deadline_) Close();
    return;
  }
  if (now < protocol_->deadline()) return;
  protocol_->OnDeadline();
  Settle();
}

void Connection::StopWhenIdle() {
  if (!opened_) return Close();
  protocol_->OnStopping();
  Settle();
}

void Connection::Close() {
  if (!std::exchange(started_, false)) return;
  if (watch_.open()) stream_->OnClosing();
  watch_.Close();
  if (opened_) protocol_->OnClosed();
  closed_(*this);
}

void Connection::OnReadable() {
  if (!opened_) return Open();
  settling_ = true;
  for (int i = 0; i < kReadsPerTurn && watch_.open(); ++i) {
    if (!Receive()) break;
    Send();
  }
  settling_ = false;
  Settle();
}

void Connection::OnWritable() {
  if (!opened_) return Open();
  if (read_next_ == Next::kWhenWritable) return OnReadable();
  Settle();
}

bool Connection::Receive() {
  const std::span<std::byte> space = protocol_->ReadSpace();
  if (space.empty()) return false;
  const Stream::Moved read = stream_->Read(space);
  read_next_ = read.next;
  if (read.size > 0) {
    loop_.CountRead(read.size);
    protocol_->OnRead(read.size);
  }
  if (read.next == Next::kNever) Close();
  return read.next == Next::kAtOnce;
}

void Connection::Send() {
  while (watch_.open() && !watch_.waits_to_write()) {
    const auto output = protocol_->Output();
    if (output.empty()) return;
    const Stream::Moved sent = stream_->Write(output);
    if (sent.size > 0) protocol_->OnWritten(sent.size);
    if (sent.next == Next::kWhenWritable) {
      watch_.WaitWritable(shared_from_this());
    } else if (sent.next == Next::kWhenReadable) {
      return watch_.WaitReadable(shared_from_this());
    } else if (sent.next == Next::kNever) {
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
  if (phase == Protocol::Phase::kDraining && !sending_ended_) EndSending();
  if (protocol_->ReadSpace().empty()) return;
  if (read_next_ == Next::kWhenWritable) return watch_.WaitWritable(std::move(keep));
  if (!stream_->HoldsInput()) return watch_.WaitReadable(std::move(keep));
  ReadLater();
}

void Connection::EndSending() {
  const Next next = stream_->EndSending();
  sending_ended_ = next != Next::kWhenWritable;
  if (!sending_ended_) watch_.WaitWritable(shared_from_this());
}

void Connection::ReadLater() {
  if (std::exchange(read_posted_, true)) return;
  loop_.Post([keep = shared_from_this()] {
    keep->read_posted_ = false;
    if (keep->watch_.open()) keep->OnReadable();
  });
}

void ConnectionSet::Add(Accepted accepted, std::shared_ptr<Protocol> protocol) {
  const auto added = std::make_shared<Connection>(loop_, std::move(accepted), std::move(protocol),
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
