#include "grpc/infer_call.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "protocol/infer_proto.h"
#include "protocol/infer_proto_response.h"
#include "protocol/model_target.h"

namespace despina::grpc {
namespace {

constexpr std::string_view kDecoupled =
    "ModelInfer RPC doesn't support models with decoupled transaction policy";

// Null unless the request is to be traced.
std::shared_ptr<Trace> Sample(Service& service, Model& model, const Head& head, bool unary) {
  Tracer* const tracer = service.submitter.snapshot().tracer;
  if (tracer == nullptr || !tracer->on()) return nullptr;
  std::shared_ptr<Trace> trace =
      tracer->Sample(model.definition().name, head.traceparent, head.tracestate);
  if (trace) {
    const TimePoint now = model.clock().Now();
    trace->Stamp(TraceActivity::kGrpcWaitreadStart, unary ? head.begun : now);
    trace->Stamp(TraceActivity::kGrpcWaitreadEnd, now);
  }
  return trace;
}

Status ReadSharedMemory(protocol::InferRequest& infer, Charge& charge, Allocator& allocator) {
  if (infer.shared_inputs.empty()) return Ok();
  if (!charge.RaiseTo(charge.amount() + infer.shared_bytes())) {
    return frontend::OverBudget(charge.budget());
  }
  return protocol::ReadSharedInputs(infer, allocator);
}

}  // namespace

void StampSend(const Request& request, TraceActivity activity) {
  if (request.trace) request.trace->Stamp(activity, request.model->clock().Now());
}

Result<ReceivedInfer> ReadInfer(Service& service, const Head& head, Message message, bool unary,
                                std::string& id) {
  const Result<protocol::InferTarget> target = protocol::PeekInferTarget(message.bytes.bytes());
  if (!target.ok()) return target.status();
  id = target->id;
  const Result<std::optional<int64_t>> version = protocol::ParseModelVersion(target->version);
  if (!version.ok()) return version.status();
  Result<ModelRef> model = service.submitter.Find(target->model, *version);
  if (!model.ok()) return model.status();
  if (unary && (*model)->definition().decoupled) {
    return Status(Code::kUnimplemented, std::string(kDecoupled));
  }
  std::shared_ptr<Trace> trace = Sample(service, **model, head, unary);
  Result<protocol::InferRequest> infer = protocol::ParseInferProto(
      *std::move(model), message.bytes, service.regions, service.allocator);
  if (!infer.ok()) return infer.status();
  infer->request->trace = std::move(trace);
  Status status = ReadSharedMemory(*infer, message.charge, service.allocator);
  if (status.ok()) status = Forward(service, head.fields, *infer->request);
  if (!status.ok()) return status;
  return ReceivedInfer{.infer = *std::move(infer), .charge = std::move(message.charge)};
}

void InferCall::OnMessage(Call& call, Message message) {
  const Status status = Begin(call, std::move(message));
  if (!status.ok()) call.Finish(status);
}

Status InferCall::Begin(Call& call, Message message) {
  std::string id;
  Result<ReceivedInfer> received = ReadInfer(service_, call.head(), std::move(message), true, id);
  call.SetRequestId(id);
  if (!received.ok()) return received.status();
  std::unique_ptr<Request>& request = received->infer.request;
  Request* const submitted = request.get();
  request->completion = this;
  Status status = service_.submitter.Submit(request);
  if (!status.ok()) return status;
  in_flight_ = submitted;
  preferences_ = std::move(received->infer.preferences);
  charge_ = std::move(received->charge);
  call_ = call.shared_from_this();
  service_.end_of_turn.Schedule();
  return Ok();
}

void InferCall::OnGone() {
  // It has not been delivered yet, so it has not been destroyed either.
  if (in_flight_ != nullptr) in_flight_->Cancel();
}

void InferCall::OnComplete(std::unique_ptr<Request> request, Turn&) noexcept {
  completed_ = std::move(request);
  // Once pushed, the loop may be done with this before Push() returns.
  const std::shared_ptr<net::Mailbox> mailbox = std::move(mailbox_);
  if (mailbox->Push(*this)) return;
  // The loop has ended. What keeps this goes last.
  const std::shared_ptr<Call> call = std::move(call_);
  completed_.reset();
}

void InferCall::OnDelivered() {
  const std::shared_ptr<Call> call = std::move(call_);
  const std::unique_ptr<Request> request = std::move(completed_);
  const Charge charge = std::move(charge_);
  // What it refers to of shared memory is not used any longer.
  const protocol::OutputPreferences preferences = std::move(preferences_);
  in_flight_ = nullptr;
  if (call->over()) return;
  StampSend(*request, TraceActivity::kGrpcSendStart);
  Answer(*call, *request, preferences);
  StampSend(*request, TraceActivity::kGrpcSendEnd);
}

void InferCall::Answer(Call& call, const Request& request,
                       const protocol::OutputPreferences& preferences) {
  if (!request.response.status.ok()) return call.Finish(request.response.status);
  Result<protocol::EncodedMessage> message =
      protocol::EncodeInferProto(request, request.response, preferences,
                                 protocol::InferForm::kUnary, true, service_.allocator);
  if (!message.ok()) return call.Finish(message.status());
  call.Respond(*std::move(message));
}

}  // namespace despina::grpc
