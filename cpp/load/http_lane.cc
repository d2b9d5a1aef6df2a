#include "load/http_lane.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace despina::load {
namespace {

constexpr size_t kSpaceBytes = size_t{64} << 10;
static_assert(kSpaceBytes > ResponseReader::kMaxHeadBytes);
// Of an error's text.
constexpr size_t kKeptOfBody = 1024;
constexpr int kSuccess = 200;

}  // namespace

HttpLane::HttpLane(const HttpTarget& target, net::Loop& loop, Dispatcher& dispatcher, Clock& clock)
    : target_(target),
      loop_(loop),
      dispatcher_(dispatcher),
      clock_(clock),
      reader_([this](std::span<const std::byte> piece) { OnBody(piece); }),
      space_(std::make_unique_for_overwrite<std::byte[]>(kSpaceBytes)) {}

void HttpLane::Begin() {
  has_request_ = true;
  output_ = target_.request;
  reader_.Reset();
  events_.Reset();
  error_body_.clear();
  if (transport_ != nullptr) return transport_->Resume();
  // Not from within this call: it may fail at once.
  loop_.Post([self = shared_from_this()] { self->Connect(); });
}

void HttpLane::Connect() {
  if (connection_ || !has_request_) return;
  closing_ = false;
  filled_ = 0;
  connect_failure_.clear();
  auto connecting =
      net::Connect(target_.endpoint, [this](const std::string& why) { connect_failure_ = why; });
  if (!connecting.ok()) {
    connect_failure_ = connecting.status().message();
    return OnConnectionGone();
  }
  connection_ = std::make_shared<net::Connection>(loop_, *std::move(connecting), shared_from_this(),
                                                  [this](net::Connection&) { OnConnectionGone(); });
  const auto keep = connection_;
  keep->Start();
}

void HttpLane::OnOpened(net::Transport& transport) {
  transport_ = &transport;
  connect_failure_.clear();
}

std::span<std::byte> HttpLane::ReadSpace() {
  return {space_.get() + filled_, kSpaceBytes - filled_};
}

std::span<const std::span<const std::byte>> HttpLane::Output() {
  if (output_.empty()) return {};
  return {&output_, 1};
}

void HttpLane::OnRead(size_t size) {
  filled_ += size;
  // Bytes that nobody asked for: there is no telling what the next ones will be.
  if (!has_request_) return CloseConnection();
  ReadResponse(clock_.Now());
}

void HttpLane::ReadResponse(TimePoint now) {
  read_at_ = now;
  size_t used = 0;
  const auto outcome = reader_.Read({space_.get(), filled_}, used);
  filled_ -= used;
  if (outcome == ResponseReader::Outcome::kFailed) {
    return End({.end = now, .failure = reader_.error()}, false);
  }
  if (outcome == ResponseReader::Outcome::kDone) {
    const std::string failure = FailureOfAnswer();
    const bool keep_alive = reader_.keep_alive() && filled_ == 0 && output_.empty();
    return End({.end = now, .status = reader_.status(), .failure = failure}, keep_alive);
  }
  std::memmove(space_.get(), space_.get() + used, filled_);
}

void HttpLane::OnBody(std::span<const std::byte> piece) {
  if (reader_.status() != kSuccess) {
    const auto* text = reinterpret_cast<const char*>(piece.data());
    error_body_.append(text, std::min(piece.size(), kKeptOfBody - error_body_.size()));
  } else if (target_.events) {
    for (size_t i = events_.Read(piece); i > 0; --i) dispatcher_.Responded(*this, read_at_);
  }
}

std::string HttpLane::FailureOfAnswer() const {
  if (reader_.status() == kSuccess) return events_.error();
  return Concat(reader_.status(), error_body_.empty() ? "" : ": ", error_body_);
}

void HttpLane::End(const Outcome& outcome, bool keep_alive) {
  has_request_ = false;
  dispatcher_.Ended(*this, outcome);
  if (keep_alive) return dispatcher_.Ready(*this);
  ready_when_gone_ = true;
  CloseConnection();
}

void HttpLane::Abort(std::string_view why) {
  if (!has_request_) return;
  if (transport_ == nullptr) {
    dispatcher_.Fail(Concat("cannot connect to ", target_.endpoint.text(), ": ", why));
    return;
  }
  End({.end = clock_.Now(), .failure = why}, false);
}

void HttpLane::CloseConnection() {
  closing_ = true;
  if (transport_ != nullptr) transport_->Resume();
}

void HttpLane::Close() {
  has_request_ = false;
  closing_ = true;
  if (const auto keep = connection_) keep->Close();
}

void HttpLane::OnConnectionGone() {
  connection_.reset();
  if (dispatcher_.finished()) return;
  if (!connect_failure_.empty()) {
    has_request_ = false;
    return dispatcher_.Fail(
        Concat("cannot connect to ", target_.endpoint.text(), ": ", connect_failure_));
  }
  closing_ = false;
  if (std::exchange(has_request_, false)) {
    const bool whole = reader_.ReadEnd() == ResponseReader::Outcome::kDone;
    const std::string failure = whole ? FailureOfAnswer() : reader_.error();
    const std::optional<int> status = whole ? std::optional(reader_.status()) : std::nullopt;
    dispatcher_.Ended(*this, {.end = clock_.Now(), .status = status, .failure = failure});
    ready_when_gone_ = true;
  }
  // Not from within this call: it may have come from within Begin().
  if (!std::exchange(ready_when_gone_, false)) return;
  loop_.Post([self = shared_from_this()] { self->dispatcher_.Ready(*self); });
}

}  // namespace despina::load
