#include "http/control_reply.h"

#include <string>
#include <utility>

namespace despina::http {
namespace {

class Reply final : public net::Mailbox::Item {
 public:
  Reply(std::shared_ptr<Session> session, Answer answer)
      : session_(std::move(session)), answer_(std::move(answer)) {}

  void OnDelivered() override {
    const std::unique_ptr<Reply> self(this);
    session_->Respond(std::move(answer_));
  }

 private:
  const std::shared_ptr<Session> session_;
  Answer answer_;
};

Answer AnswerOf(Result<std::string> result) {
  if (result.ok()) return JsonAnswer(*std::move(result));
  return ErrorAnswer(result.status());
}

}  // namespace

frontend::ControlCall::Reply ReplyTo(std::shared_ptr<Session> session,
                                     std::shared_ptr<net::Mailbox> mailbox) {
  return [session = std::move(session),
          mailbox = std::move(mailbox)](Result<std::string> result) mutable {
    auto reply = std::make_unique<Reply>(std::move(session), AnswerOf(std::move(result)));
    // Without a loop that takes it there is nobody to answer.
    if (mailbox->Push(*reply)) static_cast<void>(reply.release());
  };
}

}  // namespace despina::http
