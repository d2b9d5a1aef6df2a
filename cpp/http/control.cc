#include "http/control.h"

#include <utility>

#include "protocol/error_map.h"

namespace despina::http {

// The answer on its way to the loop.
class ControlCall::Reply final : public Mailbox::Item {
 public:
  // Without a loop that takes it there is nobody to answer.
  static void Send(std::shared_ptr<Session> session, http::Answer answer, Mailbox& mailbox) {
    auto reply = std::make_unique<Reply>(std::move(session), std::move(answer));
    if (mailbox.Push(*reply)) static_cast<void>(reply.release());
  }

  Reply(std::shared_ptr<Session> session, http::Answer answer)
      : session_(std::move(session)), answer_(std::move(answer)) {}

  void OnDelivered() override {
    const std::unique_ptr<Reply> self(this);
    session_->Respond(std::move(answer_));
  }

 private:
  const std::shared_ptr<Session> session_;
  http::Answer answer_;
};

ControlCall::ControlCall(const RouteMatch& match, Slice body, std::shared_ptr<Session> session,
                         std::shared_ptr<Mailbox> mailbox)
    : operation_(match.route->operation),
      model_(match.model),
      repository_(match.repository),
      body_(std::move(body)),
      mailbox_(std::move(mailbox)),
      session_(std::move(session)) {}

ControlCall::~ControlCall() { Fail(Internal("the control plane has dropped the request")); }

bool ControlCall::Answer(std::string json) { return Send(JsonAnswer(std::move(json))); }

bool ControlCall::Fail(const Status& status) {
  return Send(ErrorAnswer(protocol::HttpStatus(status.code()), status.message()));
}

bool ControlCall::Send(http::Answer answer) {
  std::shared_ptr<Session> session;
  {
    const std::lock_guard lock(mutex_);
    session.swap(session_);
  }
  if (!session) return false;
  Reply::Send(std::move(session), std::move(answer), *mailbox_);
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

}  // namespace despina::http
