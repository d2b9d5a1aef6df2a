// Answers of servers of gRPC, in pieces of any size: what they are cut into makes no difference.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/fuzzing.h"
#include "load/call_reader.h"

namespace despina::load {
namespace {

constexpr size_t kMostOfFailure = 2048;

struct Answer {
  bool stream = false;
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::byte> body;
};

struct Seen {
  size_t ended = 0;
  std::optional<int> status;
  std::string failure;
  std::string messages;

  bool operator==(const Seen&) const = default;
};

Answer Make(FuzzedDataProvider& in) {
  Answer answer{.stream = in.ConsumeBool(), .fields = {}, .body = {}};
  const char* const names[] = {":status", "grpc-status", "grpc-message", "x"};
  for (size_t i = in.ConsumeIntegralInRange<size_t>(0, 4); i > 0; --i) {
    answer.fields.emplace_back(in.PickValueInArray(names), in.ConsumeRandomLengthString(2000));
  }
  answer.body = in.ConsumeRemainingBytes<std::byte>();
  return answer;
}

Seen Read(const Answer& answer, size_t step) {
  Seen seen;
  CallReader reader(answer.stream, [&](std::span<const std::byte> piece) {
    seen.messages.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  for (std::span<const std::byte> rest = answer.body; !rest.empty();) {
    const auto part = rest.first(std::min(step, rest.size()));
    rest = rest.subspan(part.size());
    seen.ended += reader.ReadBody(part);
  }
  for (const auto& [name, value] : answer.fields) reader.ReadField(name, value);
  seen.status = reader.status();
  seen.failure = reader.Failure();
  Require(seen.failure.size() < kMostOfFailure, "little is kept of an error");
  Require(!seen.failure.empty() || seen.status == 0, "what succeeds has the status of that");
  Require(seen.messages.size() <= answer.body.size(), "messages are parts of the body");
  return seen;
}

}  // namespace
}  // namespace despina::load

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::load;
  FuzzedDataProvider in(data, size);
  const auto step = in.ConsumeIntegralInRange<size_t>(1, 64);
  const Answer answer = Make(in);
  despina::Require(Read(answer, answer.body.size() + 1) == Read(answer, step),
                   "the answer is the same");
  return 0;
}
