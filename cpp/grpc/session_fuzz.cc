// One connection, from its first byte to its end: what a client sends in pieces of any size, calls
// that are answered at once, late, with errors, in many messages or not at all, output that is
// taken in pieces of any size, and ends at any time.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/fuzzing.h"
#include "grpc/methods.h"
#include "grpc/service.h"
#include "grpc/session.h"
#include "memory/pool.h"

namespace despina::grpc {
namespace {

constexpr uint64_t kBudget = 300'000;
// What the outbox takes, with one frame more and its head.
constexpr size_t kMaxOutput = size_t{900} << 10;

SessionLimits Limits() {
  SessionLimits limits;
  limits.max_message_bytes = 100'000;
  limits.max_header_bytes = 2048;
  limits.max_concurrent_streams = 16;
  limits.max_age = std::chrono::hours(1);
  limits.max_age_grace = std::chrono::minutes(1);
  return limits;
}

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

// Calls that have something to be answered.
using Work = std::vector<std::shared_ptr<Call>>;

class FuzzHandler final : public CallHandler {
 public:
  FuzzHandler(Work& work, Chance& chance) : work_(work), chance_(chance) {}

  void OnMessage(Call& call, Message message) override {
    Require(!call.over(), "a call that is over gets no message");
    Require(!gone_, "a call whose client has gone gets no message");
    Require(message.bytes.size() <= Limits().max_message_bytes, "a message is within the limit");
    kept_.push_back(std::move(message));
    if (chance_.Below(2) == 0) return Answer(call);
    work_.push_back(call.shared_from_this());
    if (chance_.Below(4) == 0) call.SetReceiving(false);
  }
  void OnEnd(Call& call) override {
    Require(!call.over(), "a call that is over has no end");
    if (chance_.Below(2) == 0) call.Finish(Ok());
  }
  void OnGone() override {
    Require(!gone_, "a client goes once");
    gone_ = true;
  }
  void OnStopping(Call& call) override {
    if (chance_.Below(2) == 0) call.Finish(Unavailable("it ends"));
  }
  void OnSent(Call& call) override { call.SetReceiving(true); }

  void Answer(Call& call) {
    if (chance_.Below(8) == 0) return call.Finish(Internal(std::string(chance_.Below(9000), '%')));
    const size_t size = chance_.Below(chance_.Below(4) == 0 ? 70'000 : 300);
    call.Send(MessageOf(std::string(size, 'x')));
    if (chance_.Below(3) != 0) call.Finish(Ok());
    call.SetReceiving(true);
  }

 private:
  Work& work_;
  Chance& chance_;
  std::vector<Message> kept_;
  bool gone_ = false;
};

class Connection final : private net::Transport, private Router {
 public:
  Connection(std::shared_ptr<SessionEnvironment> environment, net::Loop& loop, Chance chance)
      : environment_(std::move(environment)),
        chance_(chance),
        session_loop_(loop, *this),
        end_of_turn_(loop, [] {}),
        session_(std::make_shared<Session>(environment_, session_loop_, end_of_turn_)) {
    session_->OnOpened(*this);
  }
  ~Connection() override {
    session_->OnClosed();
    session_.reset();
    while (AnswerOne()) {
    }
  }

  void Run(std::string_view input, ManualClock& clock) {
    while (!input.empty() && session_->phase() != net::Protocol::Phase::kDone) {
      const std::span<std::byte> space = session_->ReadSpace();
      const size_t size = std::min({space.size(), input.size(), 1 + chance_.Below(3000)});
      std::memcpy(space.data(), input.data(), size);
      input.remove_prefix(size);
      session_->OnRead(size);
      Happen(clock);
      if (chance_.Below(4) != 0) Write(false);
    }
    while (session_->phase() != net::Protocol::Phase::kDone && AnswerOne()) Write(false);
    Write(true);
  }

 private:
  void Resume() override {}
  void OnCall(Call& call) override {
    if (call.head().method == nullptr) return call.Finish(NotFound("no such method"));
    call.Accept(std::make_unique<FuzzHandler>(work_, chance_));
  }

  void Happen(ManualClock& clock) {
    switch (chance_.Below(64)) {
      case 0:
        clock.Advance(std::chrono::minutes(chance_.Below(90)));
        if (clock.Now() >= session_->deadline()) session_->OnDeadline();
        break;
      case 1:
        session_->OnStopping();
        break;
      default:
        if (chance_.Below(2) == 0) AnswerOne();
    }
  }
  // False when there is nothing to be answered.
  bool AnswerOne() {
    if (work_.empty()) return false;
    const std::shared_ptr<Call> call = std::move(work_.back());
    work_.pop_back();
    if (chance_.Below(8) == 0) return true;
    call->Send(MessageOf(std::string(chance_.Below(5000), 'y')));
    call->SetReceiving(true);
    if (chance_.Below(4) != 0) call->Finish(Ok());
    Require(call->over() || call->unsent() > 0, "what a call is told is sent, or it is over");
    return true;
  }
  void Write(bool all) {
    session_loop_.FlushAll();
    for (;;) {
      const auto output = session_->Output();
      if (output.empty()) return;
      size_t waiting = 0;
      for (const auto& piece : output) {
        Require(!piece.empty(), "a piece of the output has bytes");
        waiting += piece.size();
      }
      Require(waiting <= kMaxOutput, "the output is bounded");
      session_->OnWritten(std::min(output[0].size(), 1 + chance_.Below(20'000)));
      if (!all && chance_.Below(8) == 0) return;
    }
  }

  const std::shared_ptr<SessionEnvironment> environment_;
  Chance chance_;
  Work work_;
  SessionLoop session_loop_;
  net::EndOfTurn end_of_turn_;
  std::shared_ptr<Session> session_;
};

void Serve(std::string_view input, Chance chance) {
  BufferPool pool;
  ManualClock clock;
  const auto environment = std::make_shared<SessionEnvironment>(Limits(), kBudget, pool, clock);
  environment->fields.AddAll();
  {
    net::Loop loop;
    Connection(environment, loop, chance).Run(input, clock);
  }
  Require(environment.use_count() == 1, "no call is left");
  Require(environment->bytes_in_flight.used() == 0, "nothing stays charged");
  Require(pool.statistics().bytes_in_use == 0, "no memory is kept");
}

}  // namespace
}  // namespace despina::grpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace despina::grpc;
  FuzzedDataProvider in(data, size);
  const Chance chance(in.ConsumeIntegral<uint32_t>());
  // Without it nothing is looked at.
  const std::string preface = in.ConsumeBool() ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
  Serve(preface + in.ConsumeRemainingBytesAsString(), chance);
  return 0;
}
