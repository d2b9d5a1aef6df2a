// Answers of servers, in pieces of any size: what they are cut into makes no difference.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/fuzzing.h"
#include "load/event_counter.h"
#include "load/response_reader.h"

namespace despina::load {
namespace {

using Outcome = ResponseReader::Outcome;

struct Seen {
  Outcome outcome = Outcome::kNeedMore;
  int status = 0;
  std::string body;
  size_t events = 0;
  size_t used = 0;
};

Seen Read(std::span<const std::byte> input, size_t step) {
  Seen seen;
  EventCounter events;
  ResponseReader reader([&](std::span<const std::byte> piece) {
    seen.body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    seen.events += events.Read(piece);
  });
  size_t end = 0;
  while (seen.outcome == Outcome::kNeedMore && end < input.size()) {
    end = std::min(end + step, input.size());
    size_t used = 0;
    const auto bytes = input.subspan(seen.used, end - seen.used);
    seen.outcome = reader.Read(bytes, used);
    Require(used <= bytes.size(), "no more is used than there is");
    seen.used += used;
    if (seen.outcome == Outcome::kNeedMore) {
      Require(bytes.size() - used <= ResponseReader::kMaxHeadBytes, "little has to come again");
    }
  }
  if (seen.outcome == Outcome::kNeedMore) seen.outcome = reader.ReadEnd();
  if (seen.outcome == Outcome::kFailed) Require(!reader.error().empty(), "an error has a text");
  if (seen.outcome == Outcome::kDone) Require(reader.status() >= 200, "an answer has a status");
  seen.status = reader.status();
  return seen;
}

}  // namespace
}  // namespace despina::load

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::load;
  FuzzedDataProvider in(data, size);
  const auto step = in.ConsumeIntegralInRange<size_t>(1, 64);
  const auto input = in.ConsumeRemainingBytes<std::byte>();
  const Seen whole = Read(input, input.size() + 1);
  const Seen parts = Read(input, step);
  despina::Require(whole.outcome == parts.outcome, "the outcome is the same");
  if (whole.outcome != ResponseReader::Outcome::kDone) return 0;
  despina::Require(whole.status == parts.status && whole.used == parts.used, "so is the answer");
  despina::Require(whole.body == parts.body && whole.events == parts.events, "so is its body");
  return 0;
}
