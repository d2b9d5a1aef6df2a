#include "http/request_handler.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/text.h"
#include "http/compressed_answer.h"
#include "http/control_reply.h"
#include "http/shared_memory.h"
#include "protocol/generate.h"
#include "protocol/infer_binary.h"
#include "protocol/infer_response.h"
#include "protocol/metadata.h"
#include "protocol/shared_memory.h"

namespace despina::http {
namespace {

Answer EncodeAnswer(const Request& request, const protocol::OutputPreferences& preferences,
                    Allocator& allocator) {
  if (!request.response.status.ok()) return ErrorAnswer(request.response.status);
  Result<protocol::EncodedResponse> encoded =
      protocol::EncodeInfer(request, request.response, preferences, allocator);
  if (!encoded.ok()) return ErrorAnswer(encoded.status());
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
  if (std::optional<Answer> answer = AnswerBefore(head)) return {.answer = *std::move(answer)};
  if (match_.route == nullptr) {
    Answer answer = ErrorAnswer(405, "Method Not Allowed");
    answer.fields = match_.allow;
    return {.answer = std::move(answer)};
  }
  DecodeMatch();
  switch (match_.route->endpoint) {
    case Endpoint::kInfer:
      return DecideOnInfer(head);
    case Endpoint::kOpenApi:
      return {.answer = JsonAnswer(service_.openapi)};
    case Endpoint::kSharedMemoryStatus:
      return {.answer = AnswerSharedMemory(match_, service_.regions)};
    case Endpoint::kSharedMemoryRegister:
    case Endpoint::kSharedMemoryUnregister:
      if (!service_.allow_shared_memory) {
        return {.answer = ErrorAnswer(501, protocol::kSharedMemoryDisabled)};
      }
      return DecideOnBody(head);
    case Endpoint::kNamedRepository:
      return {.answer = ErrorAnswer(501, protocol::kNoNamedRepositories)};
    case Endpoint::kGenerate:
    case Endpoint::kGenerateStream:
    case Endpoint::kControl:
    case Endpoint::kRepositoryIndex:
      return DecideOnBody(head);
    case Endpoint::kMetrics:
      return {.answer = service_.metrics.Get(service_.submitter.snapshot(), service_.allocator)};
    default:
      return {.answer = AnswerRead(match_, service_.submitter.snapshot(), service_.identity)};
  }
}

std::optional<Answer> RequestHandler::AnswerBefore(const Head& head) const {
  if (match_.route == nullptr && match_.allow.empty()) return ErrorAnswer(404, "Not Found");
  // Browsers ask before they send anything that a restriction could want to see.
  if (service_.cors != nullptr && service_.cors->IsPreflight(head)) {
    Answer answer;
    answer.status = 204;
    return answer;
  }
  if (service_.access == nullptr) return std::nullopt;
  const std::string_view lacks = service_.access->Denied(match_.api, head.fields);
  if (lacks.empty()) return std::nullopt;
  return ErrorAnswer(403, Concat("This API is restricted, expecting header '", lacks, "'"));
}

void RequestHandler::DecodeMatch() {
  const auto decode = [](std::string_view& segment, std::string& decoded) {
    if (segment.find('%') == std::string_view::npos) return;
    decoded = Decoded(segment);
    segment = decoded;
  };
  decode(match_.model, model_);
  decode(match_.region, region_);
}

Handler::Decision RequestHandler::DecideOnBody(const Head& head) {
  if (service_.submitter.snapshot().exiting) {
    return {.answer = ErrorAnswer(503, "the server is shutting down and takes no new requests")};
  }
  const std::optional<Coding> coding = ParseContentEncoding(head.content_encoding);
  if (!coding) {
    Answer answer = ErrorAnswer(501, "Unsupported compression type");
    answer.fields = "Accept-Encoding: gzip, deflate\r\n";
    return {.answer = std::move(answer)};
  }
  return {.answer = std::nullopt, .compressed = *coding != Coding::kIdentity};
}

Handler::Decision RequestHandler::DecideOnInfer(const Head& head) {
  Decision decision = DecideOnBody(head);
  if (decision.answer) return decision;
  // The size of a chunked or compressed body is not known yet.
  const uint64_t body_size = head.chunked || decision.compressed
                                 ? std::numeric_limits<uint64_t>::max()
                                 : head.content_length.value_or(0);
  const auto json_size = JsonSize(head, body_size);
  if (!json_size.ok()) return {.answer = ErrorAnswer(json_size.status())};
  decision.aligned = json_size->value_or(0);
  return decision;
}

void RequestHandler::OnRequest(Session& session, const Head& head, Slice body) {
  stream_.reset();
  Status status;
  switch (match_.route->endpoint) {
    case Endpoint::kControl:
      return Control(session, std::move(body));
    case Endpoint::kRepositoryIndex:
      return session.Respond(AnswerIndex(service_.submitter.snapshot(), body));
    case Endpoint::kSharedMemoryRegister:
      return session.Respond(RegisterSharedMemory(match_, body, service_.regions));
    case Endpoint::kSharedMemoryUnregister:
      return UnregisterSharedMemory(session);
    case Endpoint::kGenerate:
      status = Generate(session, head, body, StreamForm::kGenerate);
      break;
    case Endpoint::kGenerateStream:
      status = Generate(session, head, body, StreamForm::kGenerateEvents);
      break;
    default:
      status = Infer(session, head, body);
  }
  if (!status.ok()) session.Respond(ErrorAnswer(status));
}

void RequestHandler::Control(Session& session, Slice body) {
  const auto call = std::make_shared<frontend::ControlCall>(
      match_.route->operation, match_.model, std::move(body),
      ReplyTo(session.shared_from_this(), mailbox_));
  const Status status = service_.control.Push(call);
  if (!status.ok()) call->Fail(status);
}

void RequestHandler::UnregisterSharedMemory(Session& session) {
  auto done = [reply = ReplyTo(session.shared_from_this(), mailbox_)]() { reply(std::string()); };
  if (match_.region.empty()) return service_.regions.UnregisterAll(std::move(done));
  service_.regions.Unregister(match_.region, std::move(done));
}

Status RequestHandler::Forward(const Head& head, Request& request) const {
  if (service_.forwarding == nullptr) return Ok();
  return service_.forwarding->AddTo(request.parameters, head.fields);
}

Status RequestHandler::Infer(Session& session, const Head& head, const Slice& body) {
  const auto json_size = JsonSize(head, body.size());
  if (!json_size.ok()) return json_size.status();
  Result<ModelRef> model = service_.submitter.Find(match_.model, match_.version);
  if (!model.ok()) return model.status();
  if ((*model)->definition().decoupled && !head.accepts_events) {
    return {Code::kUnimplemented,
            "HTTP end point doesn't support models with decoupled transaction policy"};
  }
  std::shared_ptr<Trace> trace = Sample(**model, head);
  Result<protocol::InferRequest> infer = protocol::ParseInfer(*std::move(model), body, *json_size,
                                                              service_.regions, service_.allocator);
  if (!infer.ok()) return infer.status();
  session.SetRequestId(infer->request->id);
  infer->request->trace = std::move(trace);
  if (!infer->shared_inputs.empty()) {
    Status read = session.ChargeBesides(infer->shared_bytes());
    if (read.ok()) read = protocol::ReadSharedInputs(*infer, service_.allocator);
    if (!read.ok()) return read;
  }
  Status forwarded = Forward(head, *infer->request);
  if (!forwarded.ok()) return forwarded;
  if (head.accepts_events) {
    return Stream(session, StreamForm::kInferEvents, std::move(infer->request),
                  std::move(infer->preferences));
  }

  Request* request = infer->request.get();
  request->completion = this;
  Status submitted = service_.submitter.Submit(infer->request);
  if (!submitted.ok()) return submitted;
  in_flight_ = request;
  preferences_ = std::move(infer->preferences);
  coding_ = PreferredCoding(head.accept_encoding);
  session_ = session.shared_from_this();
  service_.end_of_turn.Schedule();
  return Ok();
}

Status RequestHandler::Generate(Session& session, const Head& head, const Slice& body,
                                StreamForm form) {
  Result<ModelRef> model = service_.submitter.Find(match_.model, match_.version);
  if (!model.ok()) return model.status();
  std::shared_ptr<Trace> trace = Sample(**model, head);
  Result<std::unique_ptr<Request>> request =
      protocol::ParseGenerate(*std::move(model), body, service_.allocator);
  if (!request.ok()) return request.status();
  session.SetRequestId((*request)->id);
  (*request)->trace = std::move(trace);
  Status forwarded = Forward(head, **request);
  if (!forwarded.ok()) return forwarded;
  return Stream(session, form, *std::move(request), {});
}

Status RequestHandler::Stream(Session& session, StreamForm form, std::unique_ptr<Request> request,
                              protocol::OutputPreferences preferences) {
  const auto elsewhere = [](const protocol::OutputPreference& preference) {
    return preference.binary || preference.shared;
  };
  if (preferences.binary_by_default || std::ranges::any_of(preferences.listed, elsewhere)) {
    return InvalidArgument("events hold JSON: outputs can neither be binary nor in shared memory");
  }
  auto stream = std::make_shared<StreamCall>(
      form, std::move(preferences), session.shared_from_this(), mailbox_, service_.allocator);
  Status submitted = stream->Submit(std::move(request), service_.submitter);
  if (!submitted.ok()) return submitted;
  stream_ = std::move(stream);
  service_.end_of_turn.Schedule();
  return Ok();
}

std::shared_ptr<Trace> RequestHandler::Sample(const Model& model, const Head& head) {
  Tracer* const tracer = service_.submitter.snapshot().tracer;
  if (tracer == nullptr || !tracer->on()) return nullptr;
  std::shared_ptr<Trace> trace =
      tracer->Sample(model.definition().name, head.traceparent, head.tracestate);
  if (trace) {
    trace->Stamp(TraceActivity::kHttpRecvStart, head.begun);
    trace->Stamp(TraceActivity::kHttpRecvEnd, model.clock().Now());
  }
  return trace;
}

void RequestHandler::OnGone() {
  gone_ = true;
  if (stream_) stream_->OnGone();
  // It has not been delivered yet, so it has not been destroyed either.
  if (in_flight_ != nullptr) in_flight_->Cancel();
}

void RequestHandler::OnComplete(std::unique_ptr<Request> request, Turn&) noexcept {
  completed_ = std::move(request);
  // Once pushed, the loop may be done with this before Push() returns.
  const std::shared_ptr<net::Mailbox> mailbox = mailbox_;
  if (mailbox->Push(*this)) return;
  // The loop has ended. What keeps this goes last.
  const std::shared_ptr<Session> session = std::move(session_);
  completed_.reset();
}

void RequestHandler::OnDelivered() {
  const std::shared_ptr<Session> session = std::move(session_);
  const std::unique_ptr<Request> request = std::move(completed_);
  // What it refers to of shared memory is not used any longer.
  const protocol::OutputPreferences preferences = std::move(preferences_);
  in_flight_ = nullptr;
  const auto encode = [&] {
    Answer answer = EncodeAnswer(*request, preferences, service_.allocator);
    answer.trace = std::move(request->trace);
    return answer;
  };
  // Also when the client has gone: the session gives back what the request was charged.
  if (gone_) return session->Respond({});
  if (coding_ == Coding::kIdentity) return session->Respond(encode());
  Answer answer = encode();
  if (answer.status != 200) return session->Respond(std::move(answer));
  RespondCompressed(*session, std::move(answer), coding_, service_.allocator, service_.compression);
}

}  // namespace despina::http
