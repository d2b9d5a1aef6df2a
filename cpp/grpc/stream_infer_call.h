// ModelStreamInfer: any number of requests, to any models, and any number of responses to each.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "frontend/streamed_request.h"
#include "grpc/call.h"
#include "grpc/infer_call.h"
#include "grpc/service.h"

namespace despina::grpc {

// Errors of requests are responses like others, and the stream goes on; unless the client asks for
// the status of gRPC: then the first response that failed ends the stream. Responses of models that
// answer once come in the order of their requests, those of decoupled models as they are made.
class StreamInferCall final : public CallHandler {
 public:
  // The service is used while the loop runs.
  StreamInferCall(Service& service, const Head& head);

  void OnMessage(Call& call, Message message) override;
  void OnEnd(Call& call) override;
  void OnGone() override;
  void OnStopping(Call& call) override;
  void OnSent(Call& call) override { Admit(call); }

 private:
  class Streamed;
  // A response that is sent once those before it are.
  struct Place {
    // Whose it is, while there is none.
    const Streamed* of = nullptr;
    std::optional<protocol::EncodedMessage> response{};
    // For the response, while it waits.
    Charge charge;
  };

  Status Begin(Call& call, Message message, std::string& id);
  // An error of a request that was never one.
  void Refuse(Call& call, std::string_view id, const Status& status);
  // A response of a request, or a part of one.
  void Take(Call& call, const Streamed& of, const Response& response, bool final);
  void Send(Call& call, const Streamed* of, Result<protocol::EncodedMessage> message);
  void SendInPlace(Call& call, Place& place, protocol::EncodedMessage message);
  void SendPart(Call& call, protocol::EncodedMessage message);
  // The request has no further responses.
  void End(Call& call, Streamed& of);
  void Fail(Call& call, const Status& status);
  // Whether the client may send more.
  void Admit(Call& call);
  void FinishIfDone(Call& call);

  Service& service_;
  // The status of gRPC is asked for.
  const bool status_of_grpc_;
  // The client has ended; the server does.
  bool ended_ = false;
  bool stopping_ = false;
  std::unordered_set<Streamed*> in_flight_;
  // In the order of the requests: those to models that answer once, and those that were none.
  std::deque<Place> places_;
};

}  // namespace despina::grpc
