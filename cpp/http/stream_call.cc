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
    : StreamedRequest(std::move(mailbox)),
      form_(form),
      preferences_(std::move(preferences)),
      session_(std::move(session)),
      allocator_(allocator) {}

void StreamCall::OnDelivery(std::vector<Response> parts, std::unique_ptr<Request> completed) {
  for (const Response& part : parts) Take(part);
  if (!completed) return;
  const Response& last = completed->response;
  // What a decoupled model ends with need not be a response of its own.
  const bool decoupled = completed->model->definition().decoupled;
  if (!last.status.ok() || !decoupled || HasContent(last)) Take(last);
  End(std::move(completed->trace));
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
    return protocol::EncodeGenerate(*request(), response, allocator_);
  }
  Result<protocol::EncodedResponse> encoded =
      protocol::EncodeInfer(*request(), response, preferences_, allocator_);
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
  begun_at_ = request()->model->clock().Now();
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
    answer = ErrorAnswer(status);
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
