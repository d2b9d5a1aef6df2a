#include "http/stream_call.h"

#include <string_view>
#include <utility>

#include "base/text.h"
#include "protocol/error_map.h"
#include "protocol/generate.h"
#include "protocol/infer_response.h"

namespace despina::http {
namespace {

constexpr std::string_view kNotOne =
    "generate expects model to produce exactly 1 response, use generate stream for model that "
    "generates various number of responses";

constexpr std::string_view kEvent = "data: ";
constexpr std::string_view kEventEnd = "\n\n";

bool HasContent(const Response& response) {
  return !response.outputs.empty() || !response.parameters.empty();
}

}  // namespace

StreamCall::StreamCall(StreamForm form, protocol::OutputPreferences preferences,
                       std::shared_ptr<Session> session, std::shared_ptr<net::Mailbox> mailbox,
                       Allocator& allocator)
    : form_(form),
      preferences_(std::move(preferences)),
      session_(std::move(session)),
      mailbox_(std::move(mailbox)),
      allocator_(allocator) {}

Status StreamCall::Submit(std::unique_ptr<Request> request, Submitter& submitter) {
  Request* submitted = request.get();
  request->completion = this;
  self_ = shared_from_this();
  Status status = submitter.Submit(request);
  if (status.ok()) {
    request_ = submitted;
  } else {
    self_.reset();
  }
  return status;
}

void StreamCall::Cancel() {
  gone_ = true;
  // It has not been delivered yet, so it has not been destroyed either.
  if (request_ != nullptr) request_->Cancel();
}

void StreamCall::OnPart(const Request&, Response&& part) noexcept {
  std::unique_lock lock(mutex_);
  parts_.push_back(std::move(part));
  Deliver(std::move(lock));
}

void StreamCall::OnComplete(std::unique_ptr<Request> request, Turn&) noexcept {
  std::unique_lock lock(mutex_);
  completed_ = std::move(request);
  Deliver(std::move(lock));
}

void StreamCall::Deliver(std::unique_lock<std::mutex> lock) {
  // Once pushed, and the lock left, the loop may be done with this.
  const std::shared_ptr<StreamCall> self = self_;
  const std::unique_lock held(std::move(lock));
  if (std::exchange(in_mailbox_, true) || mailbox_->Push(*this)) return;
  // The loop has ended: there is nobody to tell.
  in_mailbox_ = false;
  parts_.clear();
  if (!completed_) return;
  completed_.reset();
  session_.reset();
  self_.reset();
}

void StreamCall::OnDelivered() {
  std::vector<Response> parts;
  std::unique_ptr<Request> completed;
  std::shared_ptr<StreamCall> self;
  {
    const std::lock_guard lock(mutex_);
    in_mailbox_ = false;
    parts.swap(parts_);
    completed = std::move(completed_);
    if (completed) self = std::move(self_);
  }
  for (const Response& part : parts) Take(part);
  if (!completed) return;
  const Response& last = completed->response;
  // What a decoupled model ends with need not be a response of its own.
  const bool decoupled = completed->model->definition().decoupled;
  if (!last.status.ok() || !decoupled || HasContent(last)) Take(last);
  End(std::move(completed->trace));
  request_ = nullptr;
  session_.reset();
}

void StreamCall::Take(const Response& response) {
  if (gone_) return;
  const Result<Slice> json = response.status.ok() ? Encode(response) : response.status;
  if (form_ != StreamForm::kGenerate) return SendEvent(json);
  if (responses_++ == 0 || (generated_.ok() && !json.ok())) generated_ = json;
}

Result<Slice> StreamCall::Encode(const Response& response) {
  if (form_ != StreamForm::kInferEvents) {
    return protocol::EncodeGenerate(*request_, response, allocator_);
  }
  Result<protocol::EncodedResponse> encoded =
      protocol::EncodeInfer(*request_, response, preferences_, allocator_);
  if (!encoded.ok()) return encoded.status();
  return std::move(encoded->json);
}

void StreamCall::SendEvent(const Result<Slice>& json) {
  // The first response decides on the status; what comes later can only be an event.
  Begin(protocol::HttpStatus(json.status().code()));
  if (json.ok()) {
    session_->SendPart(kEvent, *json, kEventEnd);
  } else {
    session_->SendPart(Concat(kEvent, protocol::ErrorJson(json.status().message())), {}, kEventEnd);
  }
}

void StreamCall::Begin(int status) {
  if (std::exchange(begun_, true)) return;
  begun_at_ = request_->model->clock().Now();
  Answer head;
  head.status = status;
  head.content_type = "text/event-stream; charset=utf-8";
  session_->BeginParts(head);
}

void StreamCall::End(std::shared_ptr<Trace> trace) {
  if (form_ != StreamForm::kGenerate) {
    Begin(200);
    // Not before: until now the engine had the trace.
    if (trace) trace->Stamp(TraceActivity::kHttpSendStart, begun_at_);
    return session_->EndParts(std::move(trace));
  }
  Answer answer;
  const Status& status = generated_.status();
  if (!status.ok()) {
    answer = ErrorAnswer(protocol::HttpStatus(status.code()), status.message());
  } else if (responses_ != 1) {
    answer = ErrorAnswer(400, kNotOne);
  } else {
    answer.content_type = "application/json";
    answer.slices.push_back(*generated_);
  }
  answer.trace = std::move(trace);
  session_->Respond(std::move(answer));
}

}  // namespace despina::http
