// Requests that are answered in parts, as events or put together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/submit.h"
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

// One of them, from its submission to its end. Unless said otherwise the loop's thread only.
class StreamCall final : public std::enable_shared_from_this<StreamCall>,
                         private Completion,
                         private net::Mailbox::Item {
 public:
  // The allocator is used until the call has ended.
  StreamCall(StreamForm form, protocol::OutputPreferences preferences,
             std::shared_ptr<Session> session, std::shared_ptr<net::Mailbox> mailbox,
             Allocator& allocator);
  StreamCall(const StreamCall&) = delete;
  StreamCall& operator=(const StreamCall&) = delete;

  // Submits the request, and keeps this until its answer has been delivered. On failure it has not
  // been taken.
  Status Submit(std::unique_ptr<Request> request, Submitter& submitter);
  // The client has gone. Nothing happens once it is answered.
  void Cancel();

 private:
  // Any thread.
  void OnPart(const Request& request, Response&& part) noexcept override;
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override;
  void Deliver(std::unique_lock<std::mutex> lock);

  void OnDelivered() override;
  void Take(const Response& response);
  void End(std::shared_ptr<Trace> trace);
  Result<Slice> Encode(const Response& response);
  void SendEvent(const Result<Slice>& json);
  void Begin(int status);

  const StreamForm form_;
  const protocol::OutputPreferences preferences_;
  // Until the end has been delivered: the session has a handler that may hold this.
  std::shared_ptr<Session> session_;
  const std::shared_ptr<net::Mailbox> mailbox_;
  Allocator& allocator_;

  // With the engine, until the end has been delivered.
  Request* request_ = nullptr;
  bool begun_ = false;
  TimePoint begun_at_{};
  bool gone_ = false;
  // Of kGenerate: how many responses have come, and the first of them, or the first that failed.
  size_t responses_ = 0;
  Result<Slice> generated_ = Slice();

  std::mutex mutex_;
  // Guarded by mutex_ from here on: what has come and was not delivered.
  std::vector<Response> parts_;
  std::unique_ptr<Request> completed_;
  bool in_mailbox_ = false;
  // This, from the submission to the delivery of the end.
  std::shared_ptr<StreamCall> self_;
};

}  // namespace despina::http
