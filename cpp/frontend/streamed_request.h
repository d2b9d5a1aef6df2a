// Requests whose answers come in parts, on their way back to their loop.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "engine/submit.h"
#include "net/mailbox.h"

namespace despina::frontend {

// One of them, from its submission to its end. Unless said otherwise the loop's thread only.
class StreamedRequest : public std::enable_shared_from_this<StreamedRequest>,
                        private Completion,
                        private net::Mailbox::Item {
 public:
  explicit StreamedRequest(std::shared_ptr<net::Mailbox> mailbox) : mailbox_(std::move(mailbox)) {}
  StreamedRequest(const StreamedRequest&) = delete;
  StreamedRequest& operator=(const StreamedRequest&) = delete;
  virtual ~StreamedRequest() = default;

  // Submits the request, and keeps this until its end has been delivered. On failure it has not
  // been taken.
  Status Submit(std::unique_ptr<Request> request, Submitter& submitter);
  // Nobody waits for what is still to come. Nothing happens once the end has been delivered.
  void Cancel();

 protected:
  // With the engine, until the end has been delivered; null otherwise.
  const Request* request() const { return request_; }

 private:
  // What has come, in order. The request is given back with its end, and null before.
  virtual void OnDelivery(std::vector<Response> parts, std::unique_ptr<Request> completed) = 0;
  // The loop has ended, and so has the request; nothing will be delivered. Any thread.
  virtual void OnUndelivered() = 0;

  // Any thread.
  void OnPart(const Request& request, Response&& part) noexcept override;
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override;
  void Deliver(std::unique_lock<std::mutex> lock);
  void OnDelivered() override;

  const std::shared_ptr<net::Mailbox> mailbox_;
  Request* request_ = nullptr;

  std::mutex mutex_;
  // Guarded by mutex_ from here on: what has come and was not delivered.
  std::vector<Response> parts_;
  std::unique_ptr<Request> completed_;
  // Or being delivered: meanwhile no other thread pushes it, nor finds out that the loop has ended.
  bool in_mailbox_ = false;
  // This, from the submission to the delivery of the end.
  std::shared_ptr<StreamedRequest> self_;
};

}  // namespace despina::frontend
