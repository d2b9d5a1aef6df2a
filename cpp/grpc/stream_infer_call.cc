#include "grpc/stream_infer_call.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "protocol/infer_proto_response.h"

namespace despina::grpc {
namespace {

using protocol::EncodedMessage;

// Requests of one stream that are worked on, or whose responses wait for earlier ones; and bytes
// that wait to be sent. With more, no further request is read.
constexpr size_t kManyRequests = 512;
constexpr size_t kManyBytes = size_t{1} << 20;
// What may wait for a client that does not read what a decoupled model makes.
constexpr size_t kMaxUnsentParts = size_t{64} << 20;

// In the call's metadata.
constexpr std::string_view kStatusOfGrpc = "triton_grpc_error";

bool HasContent(const Response& response) {
  return !response.outputs.empty() || !response.parameters.empty();
}

}  // namespace

// One request, from its submission to its end.
class StreamInferCall::Streamed final : public frontend::StreamedRequest {
 public:
  // What was received, but for the request itself, which is to be submitted.
  Streamed(StreamInferCall& owner, Call& call, const Request& request, ReceivedInfer received,
           std::shared_ptr<net::Mailbox> mailbox)
      : StreamedRequest(std::move(mailbox)),
        id(request.id),
        decoupled(request.model->definition().decoupled),
        preferences(std::move(received.infer.preferences)),
        owner_(owner),
        empty_final_(received.infer.enable_empty_final_response),
        charge_(std::move(received.charge)),
        call_(call.shared_from_this()) {}

  const Request& in_flight() const { return *request(); }

  const std::string id;
  const bool decoupled;
  const protocol::OutputPreferences preferences;

 private:
  void OnDelivery(std::vector<Response> parts, std::unique_ptr<Request> completed) override {
    for (const Response& part : parts) owner_.Take(*call_, *this, part, false);
    if (!completed) return;
    // The owner is the call's, and may go with it.
    const std::shared_ptr<Call> call = std::move(call_);
    StampSend(*completed, TraceActivity::kGrpcSendStart);
    const Response& last = completed->response;
    // What a decoupled model ends with need not be a response of its own.
    if (!last.status.ok() || !decoupled || empty_final_ || HasContent(last)) {
      owner_.Take(*call, *this, last, true);
    }
    StampSend(*completed, TraceActivity::kGrpcSendEnd);
    owner_.End(*call, *this);
  }

  void OnUndelivered() override {
    // The call keeps the budget.
    charge_.Release();
    call_.reset();
  }

  StreamInferCall& owner_;
  const bool empty_final_;
  Charge charge_;
  // Keeps the call, and so the owner.
  std::shared_ptr<Call> call_;
};

StreamInferCall::StreamInferCall(Service& service, const Head& head)
    : service_(service),
      status_of_grpc_(std::ranges::any_of(head.fields, [](const frontend::Field& field) {
        return field.name == kStatusOfGrpc && field.value == "true";
      })) {}

void StreamInferCall::OnMessage(Call& call, Message message) {
  std::string id;
  const Status status = Begin(call, std::move(message), id);
  if (!status.ok()) Refuse(call, id, status);
  Admit(call);
}

Status StreamInferCall::Begin(Call& call, Message message, std::string& id) {
  Result<ReceivedInfer> received = ReadInfer(service_, call.head(), std::move(message), false, id);
  if (!received.ok()) return received.status();
  std::unique_ptr<Request> request = std::move(received->infer.request);
  const Request& submitted = *request;
  const auto streamed =
      std::make_shared<Streamed>(*this, call, submitted, *std::move(received), service_.mailbox);
  Status status = streamed->Submit(std::move(request), service_.submitter);
  if (!status.ok()) return status;
  service_.end_of_turn.Schedule();
  in_flight_.insert(streamed.get());
  if (!streamed->decoupled) {
    places_.push_back({.of = streamed.get(), .charge = Charge(call.budget())});
  }
  return Ok();
}

void StreamInferCall::Refuse(Call& call, std::string_view id, const Status& status) {
  Result<EncodedMessage> message = protocol::EncodeStreamError(id, status.message());
  if (!message.ok()) return Fail(call, message.status());
  places_.push_back({.charge = Charge(call.budget())});
  SendInPlace(call, places_.back(), *std::move(message));
}

void StreamInferCall::Take(Call& call, const Streamed& of, const Response& response, bool final) {
  if (call.over()) return;
  const Streamed* const placed = of.decoupled ? nullptr : &of;
  Status status = response.status;
  if (status.ok()) {
    Result<EncodedMessage> message =
        protocol::EncodeInferProto(of.in_flight(), response, of.preferences,
                                   protocol::InferForm::kStream, final, service_.allocator);
    if (message.ok()) return Send(call, placed, std::move(message));
    status = message.status();
  }
  if (status_of_grpc_) return Fail(call, status);
  Send(call, placed, protocol::EncodeStreamError(of.id, status.message()));
}

void StreamInferCall::Send(Call& call, const Streamed* of, Result<EncodedMessage> message) {
  if (!message.ok()) return Fail(call, message.status());
  if (of == nullptr) return SendPart(call, *std::move(message));
  SendInPlace(call, *std::ranges::find(places_, of, &Place::of), *std::move(message));
}

void StreamInferCall::SendInPlace(Call& call, Place& place, EncodedMessage message) {
  place.of = nullptr;
  if (!place.charge.RaiseTo(message.size())) {
    return Fail(call, TooManyAnswers(call.budget()));
  }
  place.response = std::move(message);
  while (!places_.empty() && places_.front().response) {
    // Sending may fail, and drop all places.
    EncodedMessage next = *std::move(places_.front().response);
    places_.pop_front();
    call.Send(std::move(next));
  }
}

void StreamInferCall::SendPart(Call& call, EncodedMessage message) {
  if (call.unsent() > kMaxUnsentParts) {
    return Fail(call, {Code::kResourceExhausted,
                       Concat("the client is too slow: ", call.unsent(), " bytes wait for it")});
  }
  call.Send(std::move(message));
}

void StreamInferCall::End(Call& call, Streamed& of) {
  in_flight_.erase(&of);
  if (call.over()) return;
  Admit(call);
  FinishIfDone(call);
}

void StreamInferCall::Fail(Call& call, const Status& status) {
  OnGone();
  call.Finish(status);
}

void StreamInferCall::Admit(Call& call) {
  call.SetReceiving(std::max(in_flight_.size(), places_.size()) < kManyRequests &&
                    call.unsent() < kManyBytes);
}

void StreamInferCall::FinishIfDone(Call& call) {
  if (!in_flight_.empty() || !(ended_ || stopping_)) return;
  call.Finish(ended_ ? Ok() : Unavailable(std::string(kStopped)));
}

void StreamInferCall::OnStopping(Call& call) {
  stopping_ = true;
  FinishIfDone(call);
}

void StreamInferCall::OnEnd(Call& call) {
  ended_ = true;
  FinishIfDone(call);
}

void StreamInferCall::OnGone() {
  places_.clear();
  for (Streamed* const each : in_flight_) each->Cancel();
}

}  // namespace despina::grpc
