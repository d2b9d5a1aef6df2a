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

Call::Call(Carrier& carrier, std::shared_ptr<SessionEnvironment> environment, int32_t stream)
    : carrier_(&carrier),
      environment_(std::move(environment)),
      stream_(stream),
      charge_(environment_->bytes_in_flight) {
  head_.begun = environment_->clock.Now();
}

bool Call::AddField(std::string_view name, std::string_view value) {
  // As HTTP/2 counts them.
  constexpr size_t kEach = 32;
  head_.bytes += name.size() + value.size() + kEach;
  if (head_.bytes > environment_->limits.max_header_bytes) return false;
  if (name == ":method") {
    head_.method = value;
  } else if (name == ":path") {
    head_.path = value;
  } else if (name == "content-type") {
    head_.content_type = value;
  } else if (name == "grpc-timeout") {
    head_.timeout = ParseTimeout(value);
    head_.malformed_timeout = !head_.timeout;
  } else if (name == "grpc-encoding") {
    if (value != "identity") head_.encoding = value;
  } else if (name == "traceparent") {
    head_.traceparent = value;
  } else if (name == "tracestate") {
    head_.tracestate = value;
  }
  if (!name.starts_with(':') && environment_->fields.Wants(name)) {
    head_.fields.push_back({std::string(name), std::string(value)});
  }
  return true;
}

void Call::OnHead() {
  head_.begun = environment_->clock.Now();
  if (head_.bytes > environment_->limits.max_header_bytes) {
    return Finish(
        {Code::kResourceExhausted, Concat("the call's metadata are larger than the limit of ",
                                          environment_->limits.max_header_bytes, " bytes")});
  }
  if (head_.method != "POST") return carrier_->AnswerWithoutMessage(*this, 405);
  if (!IsGrpc(head_.content_type)) return carrier_->AnswerWithoutMessage(*this, 415);
  if (head_.malformed_timeout) return Finish(Internal("grpc-timeout is malformed"));
  carrier_->router().OnCall(*this);
}

void Call::Accept(std::unique_ptr<CallHandler> handler, const Method& method) {
  method_ = &method;
  handler_ = std::move(handler);
  const SessionLimits& limits = environment_->limits;
  const bool inference = method.api == frontend::Api::kInference;
  const size_t most = inference ? limits.max_message_bytes
                                : std::min(limits.max_message_bytes, limits.max_control_bytes);
  reader_.emplace(most, !head_.encoding.empty(), environment_->allocator,
                  environment_->bytes_in_flight);
  if (!head_.timeout) return;
  deadline_.emplace(carrier_->net_loop(), [this] { OnDeadline(); });
  deadline_->Start(*head_.timeout);
}

void Call::OnData(std::span<const std::byte> bytes) {
  if (receiving_) {
    carrier_->Consume(*this, bytes.size());
  } else {
    held_ += bytes.size();
  }
  while (!over() && reader_) {
    Result<std::optional<Message>> next = reader_->Next(bytes);
    if (!next.ok()) {
      return Fail(next.status());
    }
    if (!*next) return;
    Deliver(**std::move(next));
  }
}

void Call::Deliver(Message message) {
  if (!method_->one_message) return handler_->OnMessage(*this, std::move(message));
  if (message_) {
    return Fail({Code::kUnimplemented, "more than one message where there must be one"});
  }
  message_ = std::move(message);
}

void Call::OnEnd() {
  ended_ = true;
  if (over() || !handler_) return;
  if (reader_->within_message()) {
    return Fail(Internal("the client has ended within a message"));
  }
  if (!method_->one_message) return handler_->OnEnd(*this);
  if (!message_) {
    return Fail({Code::kUnimplemented, "no message where there must be one"});
  }
  handler_->OnMessage(*this, *std::exchange(message_, std::nullopt));
}

void Call::Send(const protocol::EncodedMessage& message) {
  if (over()) return;
  if (!charge_.RaiseTo(queue_.size() + message.size())) {
    return Fail({Code::kResourceExhausted,
                 Concat("answers that wait to be sent hold more than the limit of ",
                        charge_.budget().limit(), " bytes")});
  }
  queue_.Push(message);
  if (!std::exchange(begun_, true)) {
    carrier_->BeginAnswer(*this);
  } else if (deferred_) {
    carrier_->ContinueAnswer(*this);
  }
  carrier_->Flush();
}

void Call::Finish(const Status& status) {
  if (over()) return;
  finished_ = true;
  status_ = status;
  // Not destroyed: this may be what it runs.
  if (deadline_) deadline_->Stop();
  message_.reset();
  reader_.reset();
  if (!begun_) {
    carrier_->AnswerWithoutMessage(*this, 200);
  } else if (deferred_) {
    carrier_->ContinueAnswer(*this);
  }
  carrier_->Flush();
}

void Call::SetReceiving(bool receiving) {
  receiving_ = receiving;
  if (!receiving || carrier_ == nullptr || held_ == 0) return;
  carrier_->Consume(*this, std::exchange(held_, 0));
  carrier_->Flush();
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
  if (queue_.size() == 0) charge_.Release();
  if (handler_ && !over()) handler_->OnSent(*this);
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
  queue_ = {};
  charge_.Release();
  if (!was_over) DropHandler();
}

void Call::WriteAccess() const {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      environment_->clock.Now() - head_.begun);
  log::Fields fields = {{"client", carrier_->client()},
                        {"path", head_.path},
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
