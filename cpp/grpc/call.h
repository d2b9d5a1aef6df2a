// One call, as the server sees it: a stream of HTTP/2 that begins with a head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "frontend/compression_queue.h"
#include "frontend/compressor.h"
#include "frontend/field.h"
#include "grpc/held_bytes.h"
#include "grpc/message_compressor.h"
#include "grpc/message_queue.h"
#include "grpc/message_reader.h"
#include "grpc/methods.h"
#include "grpc/stall.h"
#include "net/loop.h"
#include "protocol/infer_proto_response.h"

namespace despina::grpc {

class Call;
struct SessionEnvironment;

// Decides what answers a call.
class Router {
 public:
  virtual ~Router() = default;
  // The head is there. The call is accepted or finished when this returns.
  virtual void OnCall(Call& call) = 0;
};

// What a call sees of the session that carries it.
class Carrier {
 public:
  // The head of the answer, and what is in the call's queue; status and end come behind that.
  virtual void BeginAnswer(Call& call) = 0;
  // Status and end alone.
  virtual void AnswerWithoutMessage(Call& call, int http_status) = 0;
  // There is more in the queue, or the end, where nothing was found before.
  virtual void ContinueAnswer(Call& call) = 0;
  // The client may send so many bytes more on the stream.
  virtual void Consume(Call& call, size_t bytes) = 0;
  // Ends the stream without an answer.
  virtual void Abort(Call& call) = 0;
  // Sends what there is, at the end of the loop's turn.
  virtual void Flush() = 0;
  // As the log names the client; empty: calls are not logged.
  virtual const std::string& client() const = 0;
  virtual net::Loop& net_loop() = 0;
  virtual Router& router() = 0;
  virtual frontend::CompressionQueue& compression() = 0;

 protected:
  ~Carrier() = default;
};

// What answers a call.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  // The client has sent this. Of a method that takes one message, when the client has ended too.
  virtual void OnMessage(Call& call, Message message) = 0;
  // The client sends no more; only of methods that take any number of messages.
  virtual void OnEnd(Call& /*call*/) {}
  // Nobody waits for the answer any more: the client has gone or cancelled, or its time is over.
  // What the call is told from now on is dropped.
  virtual void OnGone() = 0;
  // The server ends. What is worked on is finished; what waits for the client, or for something to
  // happen, is not waited for.
  virtual void OnStopping(Call& /*call*/) {}
  // Less is waiting to be sent than before.
  virtual void OnSent(Call& /*call*/) {}
};

// What the server reads of a call's head.
struct Head {
  bool is_post = false;
  // By its content-type.
  bool is_grpc = false;
  bool malformed_timeout = false;
  // Null: there is none of this path.
  const Method* method = nullptr;
  std::string unknown_path;
  std::optional<Duration> timeout;
  // grpc-encoding
  std::string encoding = "identity";
  // What grpc-accept-encoding leaves for answers.
  frontend::Coding answers_coding = frontend::Coding::kIdentity;
  std::string traceparent;
  std::string tracestate;
  // Those that the server's options ask for, in the order in which they came.
  std::vector<frontend::Field> fields;
  // Of all names and values.
  size_t bytes = 0;
  // When it began to come.
  TimePoint begun{};

  std::string_view path() const { return method != nullptr ? method->path : unknown_path; }
};

// Kept by its session while the client waits, and by whoever works on it. The loop's thread only.
class Call final : public std::enable_shared_from_this<Call> {
 public:
  // `place`: in the table of the session. `begun`: when its head began to come.
  Call(Carrier& carrier, std::shared_ptr<SessionEnvironment> environment, int32_t stream,
       size_t place, TimePoint begun);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const Head& head() const { return head_; }
  // The handler gets what the client sends. To be called once, when the head is there, and only
  // where there is such a method.
  void Accept(std::unique_ptr<CallHandler> handler);

  // Nothing that is told to a call does anything once it is over.
  bool over() const { return carrier_ == nullptr || finished_; }
  // A client that reads too little for what the server may hold is told so with RESOURCE_EXHAUSTED.
  void Send(protocol::EncodedMessage message);
  // The last thing that the client is told.
  void Finish(const Status& status);
  void Respond(protocol::EncodedMessage message) {
    Send(std::move(message));
    Finish(Ok());
  }
  // For what is held for the call. It lives as long as the call.
  Budget& budget() const;
  // Bytes of messages that have not been sent.
  size_t unsent() const { return queue_.size() + (compressor_ ? compressor_->size() : 0); }
  // As the client names it; for the log.
  void SetRequestId(std::string_view id);
  // Whether the handler wants messages now. What comes meanwhile is kept as it came, and is no more
  // than what fits into the stream's window.
  void SetReceiving(bool receiving);

 private:
  friend class Session;
  class CompressionJob;

  // -- what the session tells it
  // False when the head is larger than it may be; then the field is only counted.
  bool AddField(std::string_view name, std::string_view value);
  void OnHead();
  void OnData(std::span<const std::byte> bytes);
  void OnEnd();
  void OnStopping();
  // Once in each time that clients have for a message or an answer. `judge_sender`: whether it is
  // this call's fault that nothing comes.
  void LookForStall(bool judge_sender);
  void OnClosed();

  Status TooLarge() const;
  void OnDeadline();
  // What is no call of gRPC is told so by the status of HTTP.
  void Refuse(int http_status);
  // Nobody waits for the handler any more.
  void DropHandler();
  void Fail(const Status& status);
  // Puts the message into the queue, perhaps later.
  void Compress(protocol::EncodedMessage message);
  // As frontend::CompressionQueue::Job.
  bool ContinueCompression(size_t& most);
  // Nothing more will come into the queue.
  bool complete() const { return finished_ && (!compressor_ || compressor_->empty()); }
  void OnMoved(size_t size);
  void WriteAccess() const;
  // Gives the handler the messages in `bytes` while it wants them; what is left of the bytes.
  std::span<const std::byte> Read(std::span<const std::byte> bytes);
  void ReadHeld();
  void Deliver(Message message);
  // The client sends no more, and all that it has sent was read.
  void OnAllRead();

  // Null once the stream is closed.
  Carrier* carrier_;
  // Kept: a call that is worked on may be the last to give back what it holds of the budget.
  const std::shared_ptr<SessionEnvironment> environment_;
  const int32_t stream_;
  size_t place_;
  Head head_;
  // For itself and its head.
  Charge head_charge_;
  std::optional<net::Timer> deadline_;

  std::unique_ptr<CallHandler> handler_;
  std::optional<MessageReader> reader_;
  // Of a method that takes one message.
  std::optional<Message> message_;
  // The client sends no more.
  bool ended_ = false;
  bool receiving_ = true;
  // The session's: taken of the stream's window, and not told to nghttp2 yet.
  size_t taken_ = 0;
  // What came while it was not receiving: the client does not know yet that it was taken.
  HeldBytes held_;
  bool reading_held_ = false;
  Stall send_stall_ = Stall::OfSender();
  Stall read_stall_ = Stall::OfReader();

  // Null: answers go as they are.
  std::unique_ptr<MessageCompressor> compressor_;
  MessageQueue queue_;
  // For what waits to be compressed and what is in the queue.
  Charge charge_;
  uint64_t bytes_sent_ = 0;
  std::string request_id_;
  // The head of the answer has been given to the session.
  bool begun_ = false;
  // Finish() was called; the status is sent behind what is in the queue.
  bool finished_ = false;
  Status status_;
  // The session waits for more.
  bool deferred_ = false;
};

// Why a call ends whose answers hold more than there may be of them.
Status TooManyAnswers(const Budget& budget);

}  // namespace despina::grpc
