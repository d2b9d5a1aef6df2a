// HTTP/1.1 on one connection: bytes in, requests and answers out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "frontend/body.h"
#include "frontend/decompressor.h"
#include "frontend/field_filter.h"
#include "http/access_log.h"
#include "http/cors.h"
#include "http/input.h"
#include "http/message.h"
#include "http/request_parser.h"
#include "memory/allocator.h"
#include "memory/budget.h"
#include "net/protocol.h"

namespace despina::http {

struct SessionLimits {
  size_t max_header_bytes = size_t{64} << 10;
  size_t max_body_bytes = size_t{64} << 20;
  // From its first byte to its last.
  Duration header_timeout = std::chrono::seconds(30);
  // For each 64 KiB of a body, and of an answer.
  Duration body_timeout = std::chrono::seconds(60);
  // Between requests.
  Duration idle_timeout = std::chrono::minutes(5);
};

// What the sessions of one server share.
struct SessionEnvironment {
  SessionEnvironment(const SessionLimits& the_limits, uint64_t max_bytes_in_flight,
                     Allocator& the_allocator, const Clock& the_clock)
      : limits(the_limits),
        bytes_in_flight(max_bytes_in_flight),
        allocator(the_allocator),
        clock(the_clock) {}

  const SessionLimits limits;
  Budget bytes_in_flight;
  Allocator& allocator;
  const Clock& clock;
  // What is wanted of requests' heads. Set before there is a session.
  frontend::FieldFilter fields{};
  // Null: browsers are told nothing.
  std::shared_ptr<const Cors> cors{};
};

class Session;

// What a session's requests are given to.
class Handler {
 public:
  struct Decision {
    // The answer, for requests whose body is not wanted; nothing: the body is to be read.
    std::optional<Answer> answer;
    // The byte of the body that is to be aligned for backends.
    uint64_t aligned = 0;
    // The body is to be decompressed.
    bool compressed = false;
  };

  virtual ~Handler() = default;
  virtual Decision OnHead(const Head& head) = 0;
  // A request is complete. Session::Respond() answers it, at once or later.
  virtual void OnRequest(Session& session, const Head& head, Slice body) = 0;
  // The client has gone before the answer.
  virtual void OnGone() = 0;
};

// Requests are answered in the order in which they come, one at a time. While one is in work a few
// bytes more are read, so that a client that vanishes is noticed; the rest waits in the socket.
// The loop's thread only, except for the destructor.
class Session final : public net::Protocol, public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<SessionEnvironment> environment, std::unique_ptr<Handler> handler);

  // Answers the request that was given to the handler last. Does nothing when the client has gone.
  void Respond(Answer answer);
  // The same in parts, which are sent as they come: BeginParts() with an answer without a body,
  // then the parts, then EndParts(). A client that is too slow for them is cut off, which the
  // handler is told as that it has gone.
  void BeginParts(const Answer& answer);
  void SendPart(std::string_view before, Slice content, std::string_view after);
  void EndParts(std::shared_ptr<Trace> trace = nullptr);
  // Charges so many bytes that the request holds besides its body, until it is answered.
  // RESOURCE_EXHAUSTED when the budget is spent.
  Status ChargeBesides(uint64_t bytes) { return body_.ChargeBesides(bytes); }
  // The same for an answer of so many bytes that is being made, in the body's place.
  Status Charge(uint64_t bytes) { return body_.Charge(bytes); }
  // A line of the log for each request from here on. Before the connection is opened.
  void LogAccess(std::string client) { access_ = std::make_unique<AccessLog>(std::move(client)); }
  // Of the request that is worked on.
  void SetRequestId(std::string_view id) {
    if (access_) access_->SetRequestId(id);
  }
  // Answers whatever comes with this, and closes. Before the connection is opened.
  void RefuseAll(Answer answer);

  void OnOpened(net::Transport& transport) override;
  void OnClosed() override;
  std::span<std::byte> ReadSpace() override;
  void OnRead(size_t size) override;
  std::span<const std::span<const std::byte>> Output() override { return output_; }
  void OnWritten(size_t size) override;
  Phase phase() const override;
  TimePoint deadline() const override { return deadline_; }
  void OnDeadline() override;
  void OnStopping() override;

 private:
  enum class State : uint8_t {
    kHead,        // between requests, or within a head
    kBody,        // within a body of known size
    kCompressed,  // the same, of one that is to be decompressed
    kChunks,      // within a chunked body
    kWorking,     // the handler has the request
    kParts,       // the handler has the request, and its answer has begun
    kSending,     // an answer is on its way
    kSkipping,    // within a body that nobody wants
    kDraining,
    kDone,
  };

  // Of an answer in parts.
  struct Piece {
    std::string head;
    Slice content;
    std::string tail;
    // Bytes of it that have not been sent.
    size_t unsent = 0;
  };

  bool in_body() const {
    return state_ == State::kBody || state_ == State::kCompressed || state_ == State::kChunks;
  }
  // Uses the input as far as it goes.
  void Proceed();
  // One step of it each; false when more input is needed or nothing is to be read now.
  bool ReadHead();
  bool ReadBody();
  bool ReadCompressed();
  bool ReadChunks();
  bool SkipBody();

  bool BeginBody();
  // Adds what comes of a body that is chunked or compressed. False when the request is rejected.
  bool AddToBody(std::span<const std::byte> content);
  void CompleteBody();
  void BeginIdle();
  void FinishAnswer();

  // Answers a request of whose body nothing was read.
  void RespondToHead(Answer answer);
  // Answers, and closes since what follows cannot be read.
  void Reject(int status, std::string_view message);
  // The same for a failure of the body's memory.
  void RejectBody(const Status& status);
  void StartSending(Answer answer);
  void WriteAnswerHead(const Answer& answer, Framing framing, std::string& out) const;
  void QueuePiece(std::string head, Slice content, std::string tail);
  void DropSent(size_t size);
  void SetDeadline(Duration from_now) { deadline_ = environment_->clock.Now() + from_now; }
  void CountProgress(size_t size);
  const SessionLimits& limits() const { return environment_->limits; }

  const std::shared_ptr<SessionEnvironment> environment_;
  const std::unique_ptr<Handler> handler_;
  net::Transport* transport_ = nullptr;
  // Null unless requests are logged.
  std::unique_ptr<AccessLog> access_;

  State state_ = State::kHead;
  TimePoint deadline_ = TimePoint::max();
  // The connection is closed after the answer.
  bool close_ = false;
  bool stopping_ = false;

  Input input_;
  RequestParser parser_;
  Head head_;
  bool head_begun_ = false;
  // Of the head, that the parser has used.
  size_t head_bytes_ = 0;

  // Its charge stays until the answer has been sent, and covers that too.
  frontend::Body body_;
  uint64_t aligned_ = 0;
  // While the body comes, if it is compressed.
  std::optional<frontend::Decompressor> decompressor_;
  // Of a compressed body of known size: what is still to come.
  uint64_t compressed_left_ = 0;
  // Bytes of the body, or of the answer, since the deadline was set.
  size_t progress_ = 0;
  // Of a body that nobody wants, or while draining: what may still come.
  uint64_t skip_ = 0;
  // More bytes may come that belong to nothing.
  bool unread_ = false;

  // The handler has a request that it has not answered in full.
  bool working_ = false;
  Answer answer_;
  std::string answer_head_;
  // What the output of an answer in parts refers to, and the bytes of it that have not been sent.
  std::deque<Piece> pieces_;
  size_t unsent_ = 0;
  // Pieces of the answer, or of an interim one, that have not been sent.
  std::vector<std::span<const std::byte>> output_;
};

}  // namespace despina::http
