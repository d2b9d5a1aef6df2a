#include "grpc/reflection.h"

#include <cstddef>
#include <string>

#include "base/text.h"
#include "grpc/service.h"

namespace despina::grpc {
namespace {

// Of answers that wait for a client that asks and does not read: they are much larger than what
// asks for them.
constexpr size_t kMaxUnsentDescriptors = size_t{4} << 20;

}  // namespace

void ReflectionCall::OnMessage(Call& call, Message message) {
  if (call.unsent() > kMaxUnsentDescriptors) {
    return call.Finish({Code::kResourceExhausted,
                        Concat("the client is too slow: ", call.unsent(), " bytes wait for it")});
  }
  const Result<std::string> answer = descriptors_.Answer(TextOf(message.bytes));
  if (!answer.ok()) return call.Finish(answer.status());
  call.Send(MessageOf(*answer));
}

void ReflectionCall::OnStopping(Call& call) { call.Finish(Unavailable(std::string(kStopped))); }

}  // namespace despina::grpc
