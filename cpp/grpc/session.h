// gRPC on one connection: a session of nghttp2 with bytes in and bytes out, and the calls on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "frontend/compression_queue.h"
#include "grpc/call.h"
#include "grpc/environment.h"
#include "grpc/outbox.h"
#include "grpc/session_memory.h"
#include "grpc/stall.h"
#include "net/loop.h"
#include "net/protocol.h"

struct nghttp2_session;

namespace despina::grpc {

class Session;

// What the sessions of one loop share. The loop's thread only.
class SessionLoop {
 public:
  SessionLoop(net::Loop& loop, Router& router);

  net::Loop& loop() { return loop_; }
  Router& router() { return router_; }
  frontend::CompressionQueue& compression() { return compression_; }
  // Where all of them read to: what is there is used up before the next one reads.
  std::span<std::byte> read_buffer() { return read_buffer_; }
  // The session will be flushed with FlushAll().
  void FlushLater(std::shared_ptr<Session> session) { to_flush_.push_back(std::move(session)); }
  // At the end of a turn: what the turn brought leaves each connection in one piece.
  void FlushAll();

 private:
  net::Loop& loop_;
  Router& router_;
  frontend::CompressionQueue compression_;
  std::vector<std::byte> read_buffer_;
  std::vector<std::shared_ptr<Session>> to_flush_;
};

// The loop's thread only, except for the destructor.
class Session final : public net::Protocol,
                      public Carrier,
                      public std::enable_shared_from_this<Session> {
 public:
  // `flush` schedules SessionLoop::FlushAll() at the end of the turn.
  Session(std::shared_ptr<SessionEnvironment> environment, SessionLoop& loop,
          net::EndOfTurn& end_of_turn);
  ~Session() override;

  // A line of the log for each call from here on. Before the connection is opened.
  void LogAccess(std::string client) { client_ = std::move(client); }
  // Ends the connection once the client can have learnt why. Before it is opened.
  void RefuseAll(std::string why) { refusal_ = std::move(why); }

  void OnOpened(net::Transport& transport) override;
  void OnClosed() override;
  std::span<std::byte> ReadSpace() override;
  void OnRead(size_t size) override;
  std::span<const std::span<const std::byte>> Output() override;
  void OnWritten(size_t size) override;
  Phase phase() const override;
  TimePoint deadline() const override;
  void OnDeadline() override;
  void OnStopping() override;

  void Flush() override;
  void BeginAnswer(Call& call) override;
  void AnswerWithoutMessage(Call& call, int http_status) override;
  void ContinueAnswer(Call& call) override;
  void Consume(Call& call, size_t bytes) override;
  void Abort(Call& call) override;
  const std::string& client() const override { return client_; }
  net::Loop& net_loop() override { return loop_.loop(); }
  Router& router() override { return loop_.router(); }
  frontend::CompressionQueue& compression() override { return loop_.compression(); }

 private:
  friend class SessionLoop;
  // What nghttp2 tells this, and how it asks for more.
  struct Callbacks;

  // Null when there is no memory.
  nghttp2_session* NewSession();
  Call& AddCall(int32_t stream);
  std::shared_ptr<Call> RemoveCall(const Call& call);
  // The client may send so many bytes more on all streams together.
  void ConsumeConnection(size_t bytes);

  // What was asked of nghttp2 and could not be, because there was no memory, ends the connection.
  void Check(int error);
  // The head that has begun, if one has, is over.
  void EndHead();
  // Ends what waits for a client that does nothing. `judge`: whether it could have.
  void LookForStalls(bool judge);

  // What is counted against floods.
  void CountControlFrame();
  void OnPing();
  void OnPingAnswered();
  void OnSomethingSent();
  // Lets the client know that it is to connect anew; calls that are on their way are still taken.
  void BeginGoAway();
  // Tells the client that nothing new is taken, and ends when nothing is left to be answered.
  void GoAway(uint32_t error_code, std::string_view why);
  // The same for a client that has broken the rules: nothing is left to be answered.
  void Terminate(uint32_t error_code, std::string_view why);
  // Moves what the session of nghttp2 wants to send into the outbox, as far as there is room.
  void Fill();
  bool finished() const;
  bool outbox_full() const;

  const std::shared_ptr<SessionEnvironment> environment_;
  SessionLoop& loop_;
  net::EndOfTurn& end_of_turn_;
  // Outlives what it is used by.
  SessionMemory memory_;
  nghttp2_session* session_ = nullptr;
  net::Transport* transport_ = nullptr;
  // Each knows its place.
  std::vector<std::shared_ptr<Call>> calls_;
  // Taken of the connection's window, and not told to nghttp2 yet.
  size_t taken_ = 0;
  // The one whose frame came last: the next is often its as well.
  Call* current_ = nullptr;
  Outbox outbox_;
  std::string refusal_;
  std::string client_;

  // The loop will flush this at the end of the turn.
  bool flush_scheduled_ = false;
  // There may be more to be moved into the outbox.
  bool may_fill_ = false;
  // The outbox had no room for a frame.
  bool blocked_ = false;
  bool done_ = false;
  // What the client sends is no longer looked at.
  bool deaf_ = false;

  TimePoint opened_at_{};
  bool preface_seen_ = false;
  bool going_away_ = false;
  // The server ends.
  bool stopping_ = false;
  // The last GOAWAY is sent when a ping of ours is answered, or then.
  TimePoint last_go_away_ = TimePoint::max();
  TimePoint last_read_{};
  TimePoint next_look_ = TimePoint::max();
  // Whose head has begun and is not complete; 0: nobody's.
  int32_t head_open_ = 0;
  Stall head_stall_ = Stall::OfSender();
  // Of the connection as a whole.
  Stall send_stall_ = Stall::OfSender();
  Stall read_stall_ = Stall::OfReader();
  TimePoint drain_deadline_ = TimePoint::max();
  // Of a keepalive ping that was not answered.
  TimePoint ping_deadline_ = TimePoint::max();
  TimePoint age_deadline_ = TimePoint::max();
  unsigned pings_without_data_ = 0;

  // Of the client's.
  TimePoint last_ping_ = TimePoint::min();
  unsigned ping_strikes_ = 0;
  // Control frames since the client last did something useful.
  unsigned control_frames_ = 0;
  unsigned invalid_frames_ = 0;
};

}  // namespace despina::grpc
