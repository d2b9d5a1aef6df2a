#include "frontend/control.h"

namespace despina::frontend {

bool ControlCall::Send(Result<std::string> answer) {
  Reply reply;
  {
    const std::lock_guard lock(mutex_);
    reply.swap(reply_);
  }
  if (!reply) return false;
  reply(std::move(answer));
  return true;
}

Status ControlQueue::Push(std::shared_ptr<ControlCall> call) {
  const std::lock_guard lock(mutex_);
  if (closed_) return Unavailable("the server is shutting down");
  if (waiting_.size() >= kMaxWaiting) {
    return Unavailable("too many requests to the control plane wait; try again later");
  }
  waiting_.push_back(std::move(call));
  changed_.notify_one();
  return Ok();
}

std::shared_ptr<ControlCall> ControlQueue::Take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
  if (closed_) return nullptr;
  std::shared_ptr<ControlCall> call = std::move(waiting_.front());
  waiting_.pop_front();
  return call;
}

void ControlQueue::Close() {
  std::deque<std::shared_ptr<ControlCall>> refused;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    refused.swap(waiting_);
    changed_.notify_all();
  }
  for (const auto& call : refused) call->Fail(Unavailable("the server is shutting down"));
}

}  // namespace despina::frontend
