#include "grpc/control_call.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "protocol/shared_memory.h"
#include "protocol/shared_memory_proto.h"

namespace despina::grpc {
namespace {

// An answer on its way to the loop.
class Reply final : public net::Mailbox::Item {
 public:
  Reply(std::shared_ptr<Call> call, Result<std::string> answer)
      : call_(std::move(call)), answer_(std::move(answer)) {}

  void OnDelivered() override {
    const std::unique_ptr<Reply> self(this);
    if (!answer_.ok()) return call_->Finish(answer_.status());
    call_->Respond(MessageOf(*answer_));
  }

 private:
  const std::shared_ptr<Call> call_;
  const Result<std::string> answer_;
};

class ControlHandler final : public CallHandler {
 public:
  ControlHandler(Service& service, const Method& method) : service_(service), method_(method) {}

  void OnMessage(Call& call, Message message) override {
    Status status = method_.rpc == Rpc::kControl ? Control(call, std::move(message))
                                                 : Unregister(call, TextOf(message.bytes));
    if (!status.ok()) call.Finish(status);
  }
  // What was begun goes on: nobody can tell how far it is.
  void OnGone() override {}

 private:
  using Answer = frontend::ControlCall::Reply;

  // `kept` is what the answer waits for.
  Answer ReplyTo(Call& call, std::shared_ptr<Message> kept) {
    return [call = call.shared_from_this(), kept = std::move(kept),
            mailbox = service_.mailbox](Result<std::string> answer) mutable {
      kept.reset();
      auto reply = std::make_unique<Reply>(std::move(call), std::move(answer));
      // Without a loop that takes it there is nobody to answer.
      if (mailbox->Push(*reply)) static_cast<void>(reply.release());
    };
  }

  Status Control(Call& call, Message message) {
    const Slice body = message.bytes;
    const auto control = std::make_shared<frontend::ControlCall>(
        method_.name(), "", body, ReplyTo(call, std::make_shared<Message>(std::move(message))));
    const Status status = service_.control.Push(control);
    // It is told through the call, which would say otherwise that it was dropped.
    if (!status.ok()) control->Fail(status);
    return Ok();
  }

  Status Unregister(Call& call, std::string_view message) {
    if (!service_.allow_shared_memory) {
      return {Code::kUnimplemented, std::string(protocol::kSharedMemoryDisabled)};
    }
    const Result<std::string_view> name =
        protocol::ParseRegionName(Concat(method_.name(), "Request"), message);
    if (!name.ok()) return name.status();
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): it does not follow std::function.
    auto done = [reply = ReplyTo(call, nullptr)]() mutable { reply(std::string()); };
    if (name->empty()) {
      service_.regions.UnregisterAll(std::move(done));
    } else {
      service_.regions.Unregister(*name, std::move(done));
    }
    return Ok();
  }

  Service& service_;
  const Method& method_;
};

}  // namespace

std::unique_ptr<CallHandler> MakeControlHandler(Service& service, const Method& method) {
  return std::make_unique<ControlHandler>(service, method);
}

}  // namespace despina::grpc
