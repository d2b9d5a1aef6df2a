// Requests that are answered in parts, as events or put together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/submit.h"
#include "frontend/streamed_request.h"
#include "http/session.h"
#include "memory/allocator.h"
#include "net/mailbox.h"
#include "protocol/infer_request.h"

namespace despina::http {

// How the answer is written.
enum class StreamForm : uint8_t {
  // One flat object, of the one response that there must be.
  kGenerate,
  // Each response as an event with a flat object.
  kGenerateEvents,
  // Each response as an event with what /infer answers.
  kInferEvents,
};

// One of them, from its submission to its end. The loop's thread only.
class StreamCall final : public frontend::StreamedRequest {
 public:
  // The allocator is used until the call has ended.
  StreamCall(StreamForm form, protocol::OutputPreferences preferences,
             std::shared_ptr<Session> session, std::shared_ptr<net::Mailbox> mailbox,
             Allocator& allocator);

  // The client has gone. Nothing happens once it is answered.
  void OnGone() {
    gone_ = true;
    Cancel();
  }

 private:
  void OnDelivery(std::vector<Response> parts, std::unique_ptr<Request> completed) override;
  void OnUndelivered() override { session_.reset(); }

  void Take(const Response& response);
  void End(std::shared_ptr<Trace> trace);
  Result<Slice> Encode(const Response& response);
  void SendEvent(const Result<Slice>& json);
  void Begin(int status);

  const StreamForm form_;
  const protocol::OutputPreferences preferences_;
  // Until the end has been delivered: the session has a handler that may hold this.
  std::shared_ptr<Session> session_;
  Allocator& allocator_;

  bool begun_ = false;
  TimePoint begun_at_{};
  bool gone_ = false;
  // Of kGenerate: how many responses have come, and the first of them, or the first that failed.
  size_t responses_ = 0;
  Result<Slice> generated_ = Slice();
};

}  // namespace despina::http
