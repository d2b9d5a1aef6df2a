// Stream sockets and what is spoken over them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <unordered_set>
#include <utility>

#include "base/clock.h"
#include "net/loop.h"
#include "net/protocol.h"
#include "net/stream.h"

namespace despina::net {

// A socket that was accepted.
struct Accepted {
  Descriptor descriptor;
  // On that descriptor.
  std::unique_ptr<Stream> stream;
  // Until when the stream is to be open; the protocol begins then.
  TimePoint opening_deadline = TimePoint::max();
};

// Moves bytes between a stream and a protocol: as many bytes at a time as the protocol has room
// for, and as many as the stream takes. The loop's thread only.
class Connection final : public Transport,
                         public Watcher,
                         public std::enable_shared_from_this<Connection> {
 public:
  // `closed` is called once, when the descriptor has been closed. Whoever calls a function here
  // keeps the connection until it returns, whatever `closed` does.
  Connection(Loop& loop, Accepted accepted, std::shared_ptr<Protocol> protocol,
             std::function<void(Connection&)> closed);

  void Start();
  void Resume() override { Settle(); }
  void CheckDeadline(TimePoint now);
  void StopWhenIdle();
  // Without regard to what is still to be sent.
  void Close();

 private:
  void OnReadable() override;
  void OnWritable() override;
  void Open();
  // Reads once. True when there may be more.
  bool Receive();
  // Sends until nothing is left or the stream takes no more.
  void Send();
  // After anything happened: sends, and waits for what is to come, or closes.
  void Settle();
  void EndSending();
  // At the loop's next turn: the other connections are not to wait for all of it.
  void ReadLater();

  Loop& loop_;
  Watch watch_;
  const std::unique_ptr<Stream> stream_;
  const TimePoint opening_deadline_;
  std::shared_ptr<Protocol> protocol_;
  std::function<void(Connection&)> closed_;
  // What the last read said.
  Stream::Next read_next_ = Stream::Next::kWhenReadable;
  bool started_ = false;
  bool opened_ = false;
  bool settling_ = false;
  bool sending_ended_ = false;
  // A read is posted to the loop.
  bool read_posted_ = false;
};

// The connections of one loop. The loop's thread only.
class ConnectionSet {
 public:
  // `removed` is called after each connection that has gone.
  ConnectionSet(Loop& loop, std::function<void()> removed)
      : loop_(loop), removed_(std::move(removed)) {}
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;
  ~ConnectionSet() { CloseAll(); }

  void Add(Accepted accepted, std::shared_ptr<Protocol> protocol);
  size_t size() const { return connections_.size(); }

  void CheckDeadlines(TimePoint now);
  void StopWhenIdle();
  void CloseAll();

 private:
  // Calls `action` for each connection; it may close some.
  void ForEach(const std::function<void(Connection&)>& action);

  Loop& loop_;
  std::function<void()> removed_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
};

}  // namespace despina::net
