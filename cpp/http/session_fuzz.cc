// One connection, from its first byte to its end: requests in pieces of any size, compressed or
// not, answers that are taken in pieces of any size, at once or late, deadlines, and ends.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "base/fuzzing.h"
#include "http/compression.h"
#include "http/session.h"
#include "memory/pool.h"

namespace despina::http {
namespace {

constexpr uint64_t kBudget = 300'000;
constexpr SessionLimits kLimits{.max_header_bytes = 2048, .max_body_bytes = 100'000};

// Numbers that a few bytes of the input decide, so that the rest of it stays as it is.
class Chance {
 public:
  explicit Chance(uint32_t seed) : state_(seed) {}
  // Below `end`, which is above 0.
  size_t Below(size_t end) {
    state_ = state_ * 1664525 + 1013904223;
    return (state_ >> 8) % end;
  }

 private:
  uint32_t state_;
};

// Wants the bodies of POST and gives them back, at once or when it is asked to.
class EchoHandler final : public Handler {
 public:
  Decision OnHead(const Head& head) override {
    Require(!in_work_, "one request comes after the other");
    requests += head.path + '\n';
    if (head.method != Method::kPost) {
      Answer answer;
      answer.text = head.path;
      return {.answer = std::move(answer)};
    }
    const std::optional<Coding> coding = ParseContentEncoding(head.content_encoding);
    if (!coding) return {.answer = ErrorAnswer(501, head.content_encoding)};
    return {.answer = std::nullopt,
            .aligned = head.path.size(),
            .compressed = *coding != Coding::kIdentity};
  }
  void OnRequest(Session& session, const Head& head, Slice body) override {
    Require(body.size() <= kLimits.max_body_bytes, "a body is within the limit");
    if (!body.empty()) {
      const auto aligned = reinterpret_cast<uintptr_t>(body.data()) + head.path.size();
      Require(aligned % kDataAlignment == 0, "a body is aligned");
    }
    requests.append(reinterpret_cast<const char*>(body.data()), body.size());
    in_work_ = true;
    body_ = std::move(body);
    if (at_once) AnswerNow(session);
  }
  void OnGone() override { Require(in_work_, "only a request in work can lose its client"); }

  // False when there is nothing to be answered.
  bool AnswerNow(Session& session) {
    if (!std::exchange(in_work_, false)) return false;
    Answer answer;
    answer.text = "got ";
    answer.slices.push_back(std::move(body_));
    session.Respond(std::move(answer));
    return true;
  }

  bool at_once = true;
  // All that came, one behind the other.
  std::string requests;

 private:
  bool in_work_ = false;
  Slice body_;
};

class Connection final : private net::Transport {
 public:
  Connection(const std::shared_ptr<SessionEnvironment>& environment, Chance chance, bool events)
      : chance_(chance), events_(events) {
    auto handler = std::make_unique<EchoHandler>();
    handler_ = handler.get();
    handler_->at_once = !events;
    session_ = std::make_shared<Session>(environment, std::move(handler));
    session_->OnOpened(*this);
  }
  ~Connection() {
    session_->OnClosed();
    handler_->AnswerNow(*session_);
  }

  void Run(std::string_view input) {
    while (!input.empty() && session_->phase() != net::Protocol::Phase::kDone) {
      const std::span<std::byte> space = session_->ReadSpace();
      const size_t size = std::min({space.size(), input.size(), 1 + chance_.Below(3000)});
      if (size > 0) {
        std::memcpy(space.data(), input.data(), size);
        input.remove_prefix(size);
        session_->OnRead(size);
      }
      if (events_) Happen();
      Write();
      // Not while there is output, or it has enough of what it does not need yet.
      const bool stuck = size == 0 && session_->ReadSpace().empty();
      if (stuck && session_->Output().empty() && !handler_->AnswerNow(*session_)) break;
    }
    Write();
  }

  const std::string& sent() const { return sent_; }
  const std::string& requests() const { return handler_->requests; }

 private:
  void Resume() override {}

  void Happen() {
    switch (chance_.Below(64)) {
      case 0:
        session_->OnDeadline();
        break;
      case 1:
        session_->OnStopping();
        break;
      default:
        if (chance_.Below(2) == 0) handler_->AnswerNow(*session_);
    }
  }
  void Write() {
    while (!session_->Output().empty()) {
      const std::span<const std::byte> piece = session_->Output()[0];
      Require(!piece.empty(), "a piece of the output has bytes");
      const size_t size = std::min(piece.size(), 1 + chance_.Below(3000));
      sent_.append(reinterpret_cast<const char*>(piece.data()), size);
      session_->OnWritten(size);
    }
  }

  Chance chance_;
  const bool events_;
  EchoHandler* handler_ = nullptr;
  std::shared_ptr<Session> session_;
  std::string sent_;
};

// The requests that come through one connection.
std::string Serve(std::string_view input, Chance chance, bool events, bool with_fields) {
  BufferPool pool;
  ManualClock clock;
  const auto environment = std::make_shared<SessionEnvironment>(kLimits, kBudget, pool, clock);
  if (with_fields) {
    environment->fields.AddAll();
    const auto cors = std::make_shared<Cors>();
    Require(cors->Allow("http://page").ok(), "this is an origin");
    environment->cors = cors;
  }
  std::string sent;
  std::string requests;
  {
    Connection connection(environment, chance, events);
    connection.Run(input);
    sent = connection.sent();
    requests = connection.requests();
  }
  Require(environment->bytes_in_flight.used() == 0, "nothing stays charged");
  Require(pool.statistics().bytes_in_use == 0, "no memory is kept");
  Require(sent.empty() || sent.starts_with("HTTP/1.1 "), "answers are HTTP");
  return requests;
}

}  // namespace
}  // namespace despina::http

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::http;
  FuzzedDataProvider in(data, size);
  const Chance chance(in.ConsumeIntegral<uint32_t>());
  const bool with_fields = in.ConsumeBool();
  const bool events = in.ConsumeBool();
  const std::string input = in.ConsumeRemainingBytesAsString();

  const std::string requests = Serve(input, chance, events, with_fields);
  if (events) return 0;
  despina::Require(requests == Serve(input, Chance(7), false, with_fields),
                   "what comes through does not depend on how it is cut");
  return 0;
}
