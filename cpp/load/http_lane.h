// One connection to a server, over which one request is sent again and again.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load/dispatcher.h"
#include "load/event_counter.h"
#include "load/response_reader.h"
#include "net/connecting.h"

namespace despina::load {

struct HttpTarget {
  net::Endpoint endpoint;
  // Head and body, as they are sent.
  std::vector<std::byte> request;
  // Answers come in parts, as events.
  bool events = false;
};

// Connects when it has something to send, and again after the server has closed. What the server
// sends is read into one buffer and not kept. All functions: the loop's thread.
class HttpLane final : public Lane,
                       public net::Protocol,
                       public std::enable_shared_from_this<HttpLane> {
 public:
  // `target` and `dispatcher` outlive the lane's connection.
  HttpLane(const HttpTarget& target, net::Loop& loop, Dispatcher& dispatcher, Clock& clock);

  void Begin() override;
  void Abort(std::string_view why) override;
  void Close() override;

 private:
  void OnOpened(net::Transport& transport) override;
  void OnClosed() override { transport_ = nullptr; }
  std::span<std::byte> ReadSpace() override;
  void OnRead(size_t size) override;
  std::span<const std::span<const std::byte>> Output() override;
  void OnWritten(size_t size) override { output_ = output_.subspan(size); }
  Phase phase() const override { return closing_ ? Phase::kDone : Phase::kOpen; }
  TimePoint deadline() const override { return TimePoint::max(); }
  void OnDeadline() override {}
  void OnStopping() override {}

  void Connect();
  void OnConnectionGone();
  void OnBody(std::span<const std::byte> piece);
  // What has been read goes to the reader.
  void ReadResponse(TimePoint now);
  // The request has ended; the connection is closed unless it can be used again.
  void End(const Outcome& outcome, bool keep_alive);
  // Of an answer that is complete: the status and the body, or the event; empty: none.
  std::string FailureOfAnswer() const;
  void CloseConnection();

  const HttpTarget& target_;
  net::Loop& loop_;
  Dispatcher& dispatcher_;
  Clock& clock_;
  std::shared_ptr<net::Connection> connection_;
  net::Transport* transport_ = nullptr;
  std::string connect_failure_;
  bool closing_ = false;
  // Until the dispatcher is told its end.
  bool has_request_ = false;
  // The dispatcher is to be told once the connection has gone.
  bool ready_when_gone_ = false;
  std::span<const std::byte> output_;

  ResponseReader reader_;
  EventCounter events_;
  // The beginning of an answer that tells an error.
  std::string error_body_;
  TimePoint read_at_{};
  const std::unique_ptr<std::byte[]> space_;
  size_t filled_ = 0;
};

}  // namespace despina::load
