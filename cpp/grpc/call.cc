#include "grpc/call.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "grpc/environment.h"
#include "grpc/metadata.h"
#include "grpc/methods.h"

namespace despina::grpc {
namespace {

// Asked by those who restart a server that does not answer: not refused because there is much to
// do.
bool IsProbe(const Method* method) {
  return method != nullptr && method->api == frontend::Api::kHealth &&
         method->rpc != Rpc::kHealthWatch;
}

}  // namespace

// Keeps the call while it is compressed for.
class Call::CompressionJob final : public frontend::CompressionQueue::Job {
 public:
  explicit CompressionJob(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  bool Continue(size_t& most) override { return call_->ContinueCompression(most); }

 private:
  const std::shared_ptr<Call> call_;
};

Call::Call(Carrier& carrier, std::shared_ptr<SessionEnvironment> environment, int32_t stream,
           size_t place, TimePoint begun)
    : carrier_(&carrier),
      environment_(std::move(environment)),
      stream_(stream),
      place_(place),
      head_charge_(environment_->bytes_in_flight),
      held_(environment_->bytes_in_flight),
      charge_(environment_->bytes_in_flight) {
  head_.begun = begun;
}

Budget& Call::budget() const { return environment_->bytes_in_flight; }

bool Call::AddField(std::string_view name, std::string_view value) {
  // As HTTP/2 counts them.
  constexpr size_t kEach = 32;
  head_.bytes += name.size() + value.size() + kEach;
  if (head_.bytes > environment_->limits.max_header_bytes) return false;
  if (Is(name, ":method")) {
    head_.is_post = Is(value, "POST");
  } else if (Is(name, ":path")) {
    head_.method = FindMethod(value);
    if (head_.method == nullptr) head_.unknown_path = value;
  } else if (Is(name, "content-type")) {
    head_.is_grpc = IsGrpc(value);
  } else if (Is(name, "grpc-timeout")) {
    head_.timeout = ParseTimeout(value);
    head_.malformed_timeout = !head_.timeout;
  } else if (Is(name, "grpc-encoding")) {
    head_.encoding = value;
  } else if (Is(name, "grpc-accept-encoding")) {
    head_.answers_coding = AnswersCoding(value);
  } else if (Is(name, "traceparent")) {
    head_.traceparent = value;
  } else if (Is(name, "tracestate")) {
    head_.tracestate = value;
  }
  if (!name.starts_with(':') && environment_->fields.Wants(name)) {
    head_.fields.push_back({std::string(name), std::string(value)});
  }
  return true;
}

void Call::OnHead() {
  const bool too_large = head_.bytes > environment_->limits.max_header_bytes;
  if (too_large || !(IsProbe(head_.method) || head_charge_.RaiseTo(sizeof(Call) + head_.bytes))) {
    // A client that does not take its answer does not hold a head that was not charged either.
    constexpr size_t kPathToLog = 200;
    Head kept;
    kept.method = head_.method;
    kept.unknown_path = head_.unknown_path.substr(0, kPathToLog);
    kept.begun = head_.begun;
    head_ = std::move(kept);
    return Finish(too_large ? TooLarge() : frontend::OverBudget(budget()));
  }
  if (!head_.is_post) return Refuse(405);
  if (!head_.is_grpc) return Refuse(415);
  if (head_.malformed_timeout) return Finish(Internal("grpc-timeout is malformed"));
  carrier_->router().OnCall(*this);
}

void Call::Refuse(int http_status) {
  // As clients of gRPC take it, and the log.
  status_ = {Code::kUnknown, ""};
  carrier_->AnswerWithoutMessage(*this, http_status);
}

void Call::Accept(std::unique_ptr<CallHandler> handler) {
  handler_ = std::move(handler);
  const SessionLimits& limits = environment_->limits;
  const bool inference = head_.method->api == frontend::Api::kInference;
  const size_t most = inference ? limits.max_message_bytes
                                : std::min(limits.max_message_bytes, limits.max_control_bytes);
  // The request that is made of a message, with its tensors and its places in queues.
  constexpr size_t kRequest = 2048;
  reader_.emplace(MessageLimits{.max_bytes = most, .charged_besides = inference ? kRequest : 0},
                  head_.encoding != "identity", environment_->allocator,
                  environment_->bytes_in_flight);
  const int level = environment_->compression_level;
  if (inference && level > 0 && head_.answers_coding != frontend::Coding::kIdentity) {
    compressor_ =
        std::make_unique<MessageCompressor>(head_.answers_coding, level, environment_->allocator);
  }
  if (!head_.timeout) return;
  deadline_.emplace(carrier_->net_loop(), [this] { OnDeadline(); });
  deadline_->Start(*head_.timeout);
}

Status Call::TooLarge() const {
  return {Code::kResourceExhausted, Concat("the call's metadata are larger than the limit of ",
                                           environment_->limits.max_header_bytes, " bytes")};
}

void Call::OnData(std::span<const std::byte> bytes) {
  send_stall_.OnProgress(bytes.size());
  if (held_.empty()) bytes = Read(bytes);
  if (bytes.empty() || over()) return;
  if (!held_.Add(bytes)) Fail(frontend::OverBudget(budget()));
}

std::span<const std::byte> Call::Read(std::span<const std::byte> bytes) {
  const size_t size = bytes.size();
  while (receiving_ && !over() && reader_) {
    Result<std::optional<Message>> next = reader_->Next(bytes);
    if (!next.ok()) {
      Fail(next.status());
      break;
    }
    if (!*next) break;
    Deliver(**std::move(next));
  }
  carrier_->Consume(*this, size - bytes.size());
  return bytes;
}

void Call::Deliver(Message message) {
  send_stall_.OnComplete();
  if (!head_.method->one_message) return handler_->OnMessage(*this, std::move(message));
  if (message_) {
    return Fail({Code::kUnimplemented, "more than one message where there must be one"});
  }
  message_ = std::move(message);
}

void Call::OnEnd() {
  ended_ = true;
  if (held_.empty()) OnAllRead();
}

void Call::OnAllRead() {
  if (over() || !handler_) return;
  if (reader_->within_message()) {
    return Fail(Internal("the client has ended within a message"));
  }
  if (!head_.method->one_message) return handler_->OnEnd(*this);
  if (!message_) {
    return Fail({Code::kUnimplemented, "no message where there must be one"});
  }
  handler_->OnMessage(*this, *std::exchange(message_, std::nullopt));
}

void Call::Send(protocol::EncodedMessage message) {
  if (over()) return;
  if (!charge_.RaiseTo(unsent() + message.size())) {
    return Fail(TooManyAnswers(charge_.budget()));
  }
  if (compressor_) {
    Compress(std::move(message));
  } else {
    queue_.Push(std::move(message));
  }
  if (!std::exchange(begun_, true)) {
    carrier_->BeginAnswer(*this);
  } else if (deferred_) {
    carrier_->ContinueAnswer(*this);
  }
  carrier_->Flush();
}

void Call::Compress(protocol::EncodedMessage message) {
  const bool idle = compressor_->empty();
  compressor_->Push(std::move(message));
  if (idle) carrier_->compression().Start(std::make_unique<CompressionJob>(shared_from_this()));
}

bool Call::ContinueCompression(size_t& most) {
  if (carrier_ == nullptr) return true;
  const bool done = compressor_->Continue(most, queue_);
  if (deferred_ && queue_.size() > 0) carrier_->ContinueAnswer(*this);
  carrier_->Flush();
  return done;
}

void Call::Finish(const Status& status) {
  if (over()) return;
  finished_ = true;
  status_ = status;
  // Not destroyed: this may be what it runs.
  if (deadline_) deadline_->Stop();
  message_.reset();
  reader_.reset();
  held_.Clear();
  if (!begun_) {
    carrier_->AnswerWithoutMessage(*this, 200);
  } else if (deferred_) {
    carrier_->ContinueAnswer(*this);
  }
  carrier_->Flush();
}

void Call::SetRequestId(std::string_view id) {
  if (carrier_ != nullptr && !carrier_->client().empty()) request_id_ = id;
}

void Call::SetReceiving(bool receiving) {
  receiving_ = receiving;
  ReadHeld();
}

void Call::ReadHeld() {
  if (!receiving_ || over() || held_.empty() || std::exchange(reading_held_, true)) return;
  const size_t left = Read(held_.bytes()).size();
  reading_held_ = false;
  if (over()) return;
  held_.Drop(held_.bytes().size() - left);
  if (held_.empty() && ended_) OnAllRead();
  // Window that the client gets.
  if (!over()) carrier_->Flush();
}

void Call::OnDeadline() {
  const std::shared_ptr<Call> keep = shared_from_this();
  Fail({Code::kDeadlineExceeded, "Deadline Exceeded"});
}

void Call::Fail(const Status& status) {
  DropHandler();
  Finish(status);
}

void Call::OnMoved(size_t size) {
  bytes_sent_ += size;
  read_stall_.OnProgress(size);
  if (queue_.size() == 0) read_stall_.OnComplete();
  if (unsent() == 0) charge_.Release();
  if (handler_ && !over()) handler_->OnSent(*this);
}

void Call::LookForStall(bool judge_sender) {
  if (read_stall_.Look(queue_.size() > 0)) {
    // For the log.
    status_ = {Code::kCancelled, "the client does not take its answer"};
    return carrier_->Abort(*this);
  }
  const bool its_turn =
      !ended_ && receiving_ && reader_ && (head_.method->one_message || reader_->within_message());
  if (!judge_sender) return send_stall_.Skip(its_turn);
  if (!send_stall_.Look(its_turn)) return;
  Fail({Code::kDeadlineExceeded, "the client does not go on with its request"});
}

void Call::OnStopping() {
  if (handler_ && !over()) handler_->OnStopping(*this);
}

void Call::OnClosed() {
  const bool was_over = over();
  if (!carrier_->client().empty()) WriteAccess();
  carrier_ = nullptr;
  deadline_.reset();
  message_.reset();
  reader_.reset();
  held_.Clear();
  compressor_.reset();
  queue_ = {};
  charge_.Release();
  if (!was_over) DropHandler();
}

Status TooManyAnswers(const Budget& budget) {
  return {Code::kResourceExhausted,
          Concat("answers that wait to be sent hold more than the limit of ", budget.limit(),
                 " bytes")};
}

void Call::WriteAccess() const {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      environment_->clock.Now() - head_.begun);
  log::Fields fields = {{"client", carrier_->client()},
                        {"path", std::string(head_.path())},
                        {"status", std::string(CodeName(status_.code()))},
                        {"bytes", std::to_string(bytes_sent_)},
                        {"duration_us", std::to_string(took.count())}};
  if (!request_id_.empty()) fields.emplace_back("request_id", request_id_);
  log::Write(log::Level::kInfo, finished_ ? "answered" : "client gone", "access", 0, fields);
}

// The handler stays until the call goes: it may be the one that is just running.
void Call::DropHandler() {
  if (handler_) handler_->OnGone();
}

}  // namespace despina::grpc
