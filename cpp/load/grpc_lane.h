// Calls to a server of gRPC: the same message again and again, on streams of one or more
// connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "grpc/outbox.h"
#include "load/call_reader.h"
#include "load/dispatcher.h"
#include "memory/pool.h"
#include "net/connecting.h"
#include "net/loop.h"

struct nghttp2_session;

namespace despina::load {

class GrpcLane;

struct GrpcTarget {
  net::Endpoint endpoint;
  // As the head of a call has them: "host:port", and "/package.Service/Method".
  std::string authority;
  std::string path;
  // Names in lower case.
  std::vector<std::pair<std::string, std::string>> metadata;
  // The message behind its prefix, as they are sent.
  std::vector<std::byte> request;
  // Answers come in parts: the method is ModelStreamInfer.
  bool stream = false;
  // Lanes that share a connection.
  size_t streams_per_connection = 1;
  // Where messages of answers are added; null: they are not kept.
  std::shared_ptr<std::string> kept{};
};

// What the connections of one loop share.
struct GrpcFeed {
  GrpcFeed(std::shared_ptr<const GrpcTarget> the_target, net::Loop& the_loop,
           Dispatcher& the_dispatcher, Clock& the_clock)
      : target(std::move(the_target)),
        loop(the_loop),
        dispatcher(the_dispatcher),
        clock(the_clock),
        read_buffer(size_t{128} << 10) {}

  const std::shared_ptr<const GrpcTarget> target;
  net::Loop& loop;
  Dispatcher& dispatcher;
  Clock& clock;
  // What comes is used up before another connection reads.
  std::vector<std::byte> read_buffer;
  BufferPool pool{};
};

// Connects when there is something to send, and again after the server has closed. Calls that are
// under way when that happens have failed. All functions: the loop's thread.
class GrpcConnection final : public net::Protocol,
                             public std::enable_shared_from_this<GrpcConnection> {
 public:
  // The dispatcher of the feed, and the loop, outlive the connection's last call.
  explicit GrpcConnection(std::shared_ptr<GrpcFeed> feed);
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;
  ~GrpcConnection() override;

  GrpcFeed& feed() { return *feed_; }
  // Before it is used; the lane outlives it.
  void Add(GrpcLane& lane) { lanes_.push_back(&lane); }
  // Begins the call of a lane, or will once there is a connection that takes it.
  void Begin(GrpcLane& lane);
  // Its answer is not wanted any more. The lane can begin another at once.
  void Abort(GrpcLane& lane, std::string_view why);
  void Close();

 private:
  struct Callbacks;

  void OnOpened(net::Transport& transport) override;
  void OnClosed() override { transport_ = nullptr; }
  std::span<std::byte> ReadSpace() override { return feed_->read_buffer; }
  void OnRead(size_t size) override;
  std::span<const std::span<const std::byte>> Output() override;
  void OnWritten(size_t size) override { outbox_.Drop(size); }
  Phase phase() const override;
  TimePoint deadline() const override { return TimePoint::max(); }
  void OnDeadline() override {}
  void OnStopping() override {}

  void Connect();
  void OnConnectionGone();
  void Submit(GrpcLane& lane);
  void OnAnswered(GrpcLane& lane, uint32_t error_code);
  bool outbox_full() const;
  // Of a call that has no answer and never will.
  std::string WhyLost(const GrpcLane& lane) const;

  const std::shared_ptr<GrpcFeed> feed_;
  std::vector<GrpcLane*> lanes_;
  // What one turn of the loop begins leaves the connection in one piece.
  net::EndOfTurn end_of_turn_;
  std::shared_ptr<net::Connection> connection_;
  net::Transport* transport_ = nullptr;
  nghttp2_session* session_ = nullptr;
  grpc::Outbox outbox_;
  // Streams that are open.
  size_t calls_ = 0;
  // Connect() was posted.
  bool connecting_ = false;
  bool closing_ = false;
  std::string connect_failure_;
  // Why the server ends the connection, or what is wrong with what it has sent.
  std::string why_closed_;
  TimePoint read_at_{};
};

class GrpcLane final : public Lane {
 public:
  explicit GrpcLane(std::shared_ptr<GrpcConnection> connection);

  void Begin() override;
  void Abort(std::string_view why) override { connection_->Abort(*this, why); }
  void Close() override { connection_->Close(); }

 private:
  friend class GrpcConnection;

  enum class State : uint8_t { kIdle, kWaiting, kCalling };

  const std::shared_ptr<GrpcConnection> connection_;
  CallReader reader_;
  State state_ = State::kIdle;
  int32_t stream_ = 0;
  // Of the request, what was given to the outbox.
  size_t sent_ = 0;
};

}  // namespace despina::load
