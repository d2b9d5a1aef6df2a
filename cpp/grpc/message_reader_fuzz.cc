// Messages of one call: whatever comes, in pieces of any size, what is read does not depend on how
// it is cut, and is what a reader of a few lines reads.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fuzzing.h"
#include "grpc/message_reader.h"
#include "memory/pool.h"

namespace despina::grpc {
namespace {

constexpr size_t kMaxMessage = 100'000;
constexpr uint64_t kBudget = 400'000;

struct Messages {
  std::vector<std::string> texts;
  // What ended them.
  Code code = Code::kOk;
  bool within_message = false;

  bool operator==(const Messages&) const = default;
};

// `step` bytes at a time.
Messages ReadAll(std::string_view input, bool compressed, size_t step) {
  BufferPool pool;
  Budget budget(kBudget);
  Messages read;
  {
    MessageReader reader({.max_bytes = kMaxMessage}, compressed, pool, budget);
    while (!input.empty() && read.code == Code::kOk) {
      const std::string_view piece = input.substr(0, step);
      input.remove_prefix(piece.size());
      auto bytes = std::as_bytes(std::span(piece.data(), piece.size()));
      for (;;) {
        const Result<std::optional<Message>> next = reader.Next(bytes);
        read.code = next.status().code();
        if (!next.ok() || !*next) break;
        const Slice& text = (*next)->bytes;
        Require(text.size() <= kMaxMessage, "a message is within the limit");
        Require((*next)->charge.amount() >= text.size(), "a message is charged");
        read.texts.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
      }
      Require(read.code != Code::kOk || bytes.empty(), "all is used");
    }
    read.within_message = read.code == Code::kOk && reader.within_message();
  }
  Require(budget.used() == 0, "nothing stays charged");
  Require(pool.statistics().bytes_in_use == 0, "no memory is kept");
  return read;
}

// The same of messages that are not compressed.
Messages ReadPlainly(std::string_view input) {
  constexpr size_t kPrefix = 5;
  Messages read;
  while (!input.empty()) {
    read.within_message = true;
    if (input.size() < kPrefix) break;
    size_t length = 0;
    for (const char each : input.substr(1, 4)) length = length << 8U | static_cast<uint8_t>(each);
    const std::string_view text = input.substr(kPrefix);
    if (text.empty() && length > 0) break;
    if (input[0] != 0) {
      read.code = Code::kInternal;
    } else if (length > kMaxMessage) {
      read.code = Code::kResourceExhausted;
    }
    if (read.code != Code::kOk) read.within_message = false;
    if (read.code != Code::kOk || text.size() < length) break;
    read.texts.emplace_back(text.substr(0, length));
    read.within_message = false;
    input = text.substr(length);
  }
  return read;
}

}  // namespace
}  // namespace despina::grpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::grpc;
  FuzzedDataProvider in(data, size);
  const bool compressed = in.ConsumeBool();
  const size_t step = in.ConsumeIntegralInRange<size_t>(1, 5000);
  const std::string input = in.ConsumeRemainingBytesAsString();

  const Messages whole = ReadAll(input, compressed, input.size() + 1);
  despina::Require(ReadAll(input, compressed, step) == whole,
                   "what is read does not depend on how it is cut");
  if (compressed) return 0;
  despina::Require(ReadPlainly(input) == whole, "what is read is what was sent");
  return 0;
}
