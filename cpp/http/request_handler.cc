#include "http/request_handler.h"

#include <limits>
#include <string>
#include <utility>

#include "base/text.h"
#include "protocol/error_map.h"
#include "protocol/infer_binary.h"
#include "protocol/infer_response.h"

namespace despina::http {
namespace {

Answer StatusAnswer(const Status& status) {
  return ErrorAnswer(protocol::HttpStatus(status.code()), status.message());
}

Answer EncodeAnswer(const Request& request, const protocol::OutputPreferences& preferences,
                    Allocator& allocator) {
  if (!request.response.status.ok()) return StatusAnswer(request.response.status);
  Result<protocol::EncodedResponse> encoded =
      protocol::EncodeInfer(request, preferences, allocator);
  if (!encoded.ok()) return StatusAnswer(encoded.status());
  Answer answer;
  answer.content_type = encoded->content_type();
  if (encoded->binary()) answer.json_size = encoded->json.size();
  answer.slices.reserve(1 + encoded->tensors.size());
  answer.slices.push_back(std::move(encoded->json));
  for (Slice& tensor : encoded->tensors) answer.slices.push_back(std::move(tensor));
  return answer;
}

// The size of the JSON part of a body of `body_size` bytes.
Result<std::optional<uint64_t>> JsonSize(const Head& head, uint64_t body_size) {
  return protocol::ParseJsonSize(
      head.json_size ? std::optional<std::string_view>(*head.json_size) : std::nullopt, body_size);
}

}  // namespace

Handler::Decision RequestHandler::OnHead(const Head& head) {
  match_ = FindRoute(service_.routes, head.method, head.path);
  if (match_.route == nullptr) return {.answer = ErrorAnswer(404, "Not Found")};
  // Browsers ask before they send anything that a restriction could want to see.
  if (service_.cors != nullptr && service_.cors->IsPreflight(head)) {
    Answer answer;
    answer.status = 204;
    return {.answer = std::move(answer)};
  }
  if (service_.access != nullptr) {
    const std::string_view lacks = service_.access->Denied(match_.route->api, head);
    if (!lacks.empty()) {
      return {.answer = ErrorAnswer(
                  403, Concat("This API is restricted, expecting header '", lacks, "'"))};
    }
  }
  if (!match_.method_allowed) {
    Answer answer = ErrorAnswer(405, "Method Not Allowed");
    answer.fields = match_.route->method == Method::kPost ? "Allow: POST\r\n" : "Allow: GET\r\n";
    return {.answer = std::move(answer)};
  }
  if (match_.route->endpoint == Endpoint::kInfer) return DecideOnInfer(head);
  return {.answer = AnswerRead(match_, service_.submitter.snapshot(), service_.identity,
                               service_.allocator)};
}

Handler::Decision RequestHandler::DecideOnInfer(const Head& head) {
  if (service_.submitter.snapshot().exiting) {
    return {.answer = ErrorAnswer(503, "the server is shutting down and takes no new requests")};
  }
  const std::optional<Coding> coding = ParseContentEncoding(head.content_encoding);
  if (!coding) {
    Answer answer = ErrorAnswer(501, "Unsupported compression type");
    answer.fields = "Accept-Encoding: gzip, deflate\r\n";
    return {.answer = std::move(answer)};
  }
  const bool compressed = *coding != Coding::kIdentity;
  // The size of a chunked or compressed body is not known yet.
  const uint64_t body_size = head.chunked || compressed ? std::numeric_limits<uint64_t>::max()
                                                        : head.content_length.value_or(0);
  const auto json_size = JsonSize(head, body_size);
  if (!json_size.ok()) return {.answer = StatusAnswer(json_size.status())};
  return {.answer = std::nullopt, .aligned = json_size->value_or(0), .compressed = compressed};
}

void RequestHandler::OnRequest(Session& session, const Head& head, Slice body) {
  const Status status = Infer(session, head, body);
  if (!status.ok()) session.Respond(StatusAnswer(status));
}

Status RequestHandler::Infer(Session& session, const Head& head, const Slice& body) {
  const auto json_size = JsonSize(head, body.size());
  if (!json_size.ok()) return json_size.status();
  Result<ModelRef> model = service_.submitter.Find(match_.model, match_.version);
  if (!model.ok()) return model.status();
  if ((*model)->definition().decoupled) {
    return {Code::kUnimplemented,
            "HTTP end point doesn't support models with decoupled transaction policy"};
  }
  Result<protocol::InferRequest> infer =
      protocol::ParseInfer(*std::move(model), body, *json_size, service_.allocator);
  if (!infer.ok()) return infer.status();
  if (service_.forwarding != nullptr) {
    Status added = service_.forwarding->AddTo(infer->request->parameters, head);
    if (!added.ok()) return added;
  }

  Request* request = infer->request.get();
  request->completion = this;
  preferences_ = std::move(infer->preferences);
  coding_ = PreferredCoding(head.accept_encoding);
  Status submitted = service_.submitter.Submit(infer->request);
  if (!submitted.ok()) return submitted;
  in_flight_ = request;
  session_ = session.shared_from_this();
  service_.end_of_turn.Schedule();
  return Ok();
}

void RequestHandler::OnGone() {
  gone_ = true;
  // It has not been delivered yet, so it has not been destroyed either.
  if (in_flight_ != nullptr) in_flight_->Cancel();
}

void RequestHandler::OnComplete(std::unique_ptr<Request> request, Turn&) noexcept {
  completed_ = std::move(request);
  // Once pushed, the loop may be done with this before Push() returns.
  const std::shared_ptr<Mailbox> mailbox = mailbox_;
  if (mailbox->Push(*this)) return;
  // The loop has ended. What keeps this goes last.
  const std::shared_ptr<Session> session = std::move(session_);
  completed_.reset();
}

void RequestHandler::OnDelivered() {
  const std::shared_ptr<Session> session = std::move(session_);
  const std::unique_ptr<Request> request = std::move(completed_);
  in_flight_ = nullptr;
  const auto encode = [&] { return EncodeAnswer(*request, preferences_, service_.allocator); };
  // Also when the client has gone: the session gives back what the request was charged.
  if (gone_) return session->Respond({});
  if (coding_ == Coding::kIdentity) return session->Respond(encode());
  Answer answer = encode();
  if (answer.status != 200) return session->Respond(std::move(answer));
  service_.compression.Respond(*session, std::move(answer), coding_);
}

}  // namespace despina::http
