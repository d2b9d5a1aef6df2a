#include "frontend/streamed_request.h"

#include <utility>

namespace despina::frontend {

Status StreamedRequest::Submit(std::unique_ptr<Request> request, Submitter& submitter) {
  Request* submitted = request.get();
  request->completion = this;
  self_ = shared_from_this();
  Status status = submitter.Submit(request);
  if (status.ok()) {
    request_ = submitted;
  } else {
    self_.reset();
  }
  return status;
}

void StreamedRequest::Cancel() {
  // It has not been delivered yet, so it has not been destroyed either.
  if (request_ != nullptr) request_->Cancel();
}

void StreamedRequest::OnPart(const Request&, Response&& part) noexcept {
  std::unique_lock lock(mutex_);
  parts_.push_back(std::move(part));
  Deliver(std::move(lock));
}

void StreamedRequest::OnComplete(std::unique_ptr<Request> request, Turn&) noexcept {
  std::unique_lock lock(mutex_);
  completed_ = std::move(request);
  Deliver(std::move(lock));
}

void StreamedRequest::Deliver(std::unique_lock<std::mutex> lock) {
  // Once pushed, and the lock left, the loop may be done with this.
  const std::shared_ptr<StreamedRequest> self = self_;
  const std::unique_lock held(std::move(lock));
  if (std::exchange(in_mailbox_, true) || mailbox_->Push(*this)) return;
  // The loop has ended: there is nobody to tell.
  in_mailbox_ = false;
  parts_.clear();
  if (!completed_) return;
  completed_.reset();
  OnUndelivered();
  self_.reset();
}

void StreamedRequest::OnDelivered() {
  // Once it is not in the mailbox any more, another thread may drop it.
  const std::shared_ptr<StreamedRequest> self = shared_from_this();
  for (;;) {
    std::vector<Response> parts;
    std::unique_ptr<Request> completed;
    {
      const std::lock_guard lock(mutex_);
      parts.swap(parts_);
      completed = std::move(completed_);
    }
    const bool last = completed != nullptr;
    OnDelivery(std::move(parts), std::move(completed));
    const std::lock_guard lock(mutex_);
    if (last) {
      request_ = nullptr;
      return self_.reset();
    }
    if (parts_.empty() && !completed_) {
      in_mailbox_ = false;
      return;
    }
    // Others of the loop come first; there are none once the mailbox is closed.
    if (mailbox_->Push(*this)) return;
  }
}

}  // namespace despina::frontend
