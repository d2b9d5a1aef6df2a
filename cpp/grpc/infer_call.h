// ModelInfer: one request, one response.
#pragma once

#include <memory>

#include "base/recycled_memory.h"
#include "engine/submit.h"
#include "grpc/call.h"
#include "grpc/service.h"
#include "net/mailbox.h"
#include "protocol/infer_request.h"

namespace despina::grpc {

// A request that was read, and what its message holds of the budget.
struct ReceivedInfer {
  protocol::InferRequest infer;
  Charge charge;
};

// Reads a request of either method, up to where it can be submitted. `unary`: its model must answer
// once. INVALID_ARGUMENT, NOT_FOUND, UNIMPLEMENTED, RESOURCE_EXHAUSTED; with `id` as far as it
// could be read.
Result<ReceivedInfer> ReadInfer(Service& service, const Head& head, Message message, bool unary,
                                std::string& id);

// Where the request is traced.
void StampSend(const Request& request, TraceActivity activity);

class InferCall final : public CallHandler,
                        public Recycled,
                        private Completion,
                        private net::Mailbox::Item {
 public:
  // The service is used while the loop runs.
  explicit InferCall(Service& service) : service_(service), mailbox_(service.mailbox) {}

  void OnMessage(Call& call, Message message) override;
  void OnGone() override;

 private:
  Status Begin(Call& call, Message message);
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override;
  void OnDelivered() override;
  void Answer(Call& call, const Request& request, const protocol::OutputPreferences& preferences);

  Service& service_;
  // Until the request is given back.
  std::shared_ptr<net::Mailbox> mailbox_;
  protocol::OutputPreferences preferences_;
  Charge charge_;
  // With the engine, between submission and delivery.
  Request* in_flight_ = nullptr;
  // Keeps the call, and so this, until the request has come back.
  std::shared_ptr<Call> call_;
  std::unique_ptr<Request> completed_;
};

}  // namespace despina::grpc
