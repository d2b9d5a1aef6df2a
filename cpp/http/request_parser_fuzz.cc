// Heads and chunked bodies, in pieces of any size: what they are cut into makes no difference.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/fuzzing.h"
#include "http/request_parser.h"

namespace despina::http {
namespace {

using frontend::FieldFilter;

using Outcome = RequestParser::Outcome;

struct Parsed {
  Outcome outcome = Outcome::kNeedMore;
  Head head;
  std::string body;
  // Of the input, what was used of the request.
  size_t used = 0;
};

// Gives the parser what it has not used, and `step` bytes more each time.
class Feeder {
 public:
  Feeder(std::span<const std::byte> input, size_t step) : input_(input), step_(step) {}

  template <class Parse>
  Outcome Run(Parse parse) {
    while (true) {
      size_t used = 0;
      const auto seen = input_.subspan(used_, end_ - used_);
      const Outcome outcome = parse(seen, used);
      Require(used <= seen.size(), "no more is used than there is");
      used_ += used;
      if (outcome != Outcome::kNeedMore || end_ == input_.size()) return outcome;
      end_ = std::min(end_ + step_, input_.size());
    }
  }
  size_t used() const { return used_; }

 private:
  const std::span<const std::byte> input_;
  const size_t step_;
  size_t used_ = 0;
  size_t end_ = 0;
};

Parsed Parse(std::span<const std::byte> input, size_t step, const FieldFilter& filter) {
  RequestParser parser(filter);
  Parsed parsed;
  Feeder feeder(input, step);
  parsed.outcome = feeder.Run(
      [&](auto bytes, size_t& used) { return parser.ParseHead(bytes, parsed.head, used); });
  if (parsed.outcome == Outcome::kDone && parsed.head.chunked) {
    const RequestParser::Sink sink = [&](std::span<const std::byte> content) {
      parsed.body.append(reinterpret_cast<const char*>(content.data()), content.size());
      return true;
    };
    parsed.outcome =
        feeder.Run([&](auto bytes, size_t& used) { return parser.ParseChunks(bytes, sink, used); });
  }
  if (parsed.outcome == Outcome::kFailed) {
    Require(parser.error_status() >= 400 && !parser.error().empty(), "an error has a text");
  }
  parsed.used = feeder.used();
  return parsed;
}

bool IsSame(const Field& one, const Field& other) {
  return one.name == other.name && one.value == other.value;
}

void CheckHead(const Head& head) {
  Require(!(head.chunked && head.content_length), "a body has one kind of size");
  for (const Field& field : head.fields) {
    Require(!field.name.empty(), "a field has a name");
    Require(field.value.find_first_of(std::string("\r\n\0", 3)) == std::string::npos,
            "a value is one line");
  }
}

}  // namespace
}  // namespace despina::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::http;
  FuzzedDataProvider in(data, size);
  const auto step = in.ConsumeIntegralInRange<size_t>(1, 64);
  FieldFilter filter;
  if (in.ConsumeBool()) filter.AddAll();
  const auto input = in.ConsumeRemainingBytes<std::byte>();

  const Parsed whole = Parse(input, input.size() + 1, filter);
  const Parsed parts = Parse(input, step, filter);
  // An error may be seen sooner or later; what is taken is taken either way.
  const bool done = whole.outcome == RequestParser::Outcome::kDone;
  despina::Require(done == (parts.outcome == RequestParser::Outcome::kDone), "both are taken");
  if (!done) return 0;
  CheckHead(whole.head);
  despina::Require(whole.used == parts.used, "the request ends at the same place");
  despina::Require(whole.body == parts.body, "the body is the same");
  despina::Require(whole.head.method == parts.head.method && whole.head.path == parts.head.path,
                   "the target is the same");
  despina::Require(std::ranges::equal(whole.head.fields, parts.head.fields, IsSame),
                   "the fields are the same");
  return 0;
}
