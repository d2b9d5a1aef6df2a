#include "http/session.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace despina::http {
namespace {

// What comes before the next request where the body of one is not wanted; more, and the connection
// is closed instead.
constexpr uint64_t kMaxSkipped = uint64_t{64} << 10;
// The body timeout is for this many bytes, in or out, so that a trickle does not hold a connection
// for ever.
constexpr size_t kProgress = size_t{64} << 10;
// Of a chunked body: what is read at a time, what its framing may take, and its first buffer.
constexpr size_t kChunksRead = size_t{16} << 10;
constexpr size_t kMaxFraming = size_t{64} << 10;
constexpr size_t kFirstBuffer = size_t{64} << 10;

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

int StatusOf(frontend::Refusal::Reason reason) {
  switch (reason) {
    case frontend::Refusal::Reason::kMalformed:
      return 400;
    case frontend::Refusal::Reason::kTooLarge:
      return 413;
    case frontend::Refusal::Reason::kNoMemory:
      return 503;
  }
  return 500;
}

}  // namespace

Session::Session(std::shared_ptr<SessionEnvironment> environment, std::unique_ptr<Handler> handler)
    : environment_(std::move(environment)),
      handler_(std::move(handler)),
      parser_(environment_->fields),
      body_(environment_->allocator, environment_->bytes_in_flight) {}

void Session::OnOpened(net::Transport& transport) {
  transport_ = &transport;
  if (state_ == State::kHead) BeginIdle();
}

void Session::OnClosed() {
  transport_ = nullptr;
  if (access_) access_->End(head_, environment_->clock.Now());
  state_ = State::kDone;
  output_.clear();
  pieces_.clear();
  answer_ = {};
  decompressor_.reset();
  if (working_) {
    handler_->OnGone();
  } else {
    body_.Release();
  }
}

net::Protocol::Phase Session::phase() const {
  if (state_ == State::kDone) return Phase::kDone;
  return state_ == State::kDraining ? Phase::kDraining : Phase::kOpen;
}

std::span<std::byte> Session::ReadSpace() {
  // One thing at a time: what is read may ask for more output.
  if (!output_.empty() || state_ == State::kDone) return {};
  if (state_ == State::kBody && body_.allocated()) return body_.space();
  if (state_ == State::kHead) input_.Grow(limits().max_header_bytes);
  return input_.space();
}

void Session::OnRead(size_t size) {
  if (state_ == State::kBody && body_.allocated()) {
    CountProgress(size);
    const Status status = body_.Commit(size);
    if (!status.ok()) return RejectBody(status);
  } else {
    input_.Commit(size);
  }
  Proceed();
}

void Session::Proceed() {
  bool more = true;
  while (more && output_.empty()) {
    switch (state_) {
      case State::kHead:
        more = ReadHead();
        break;
      case State::kBody:
        more = ReadBody();
        break;
      case State::kCompressed:
        more = ReadCompressed();
        break;
      case State::kChunks:
        more = ReadChunks();
        break;
      case State::kSkipping:
      case State::kDraining:
        more = SkipBody();
        break;
      case State::kWorking:
      case State::kParts:
      case State::kSending:
      case State::kDone:
        more = false;
    }
  }
}

void Session::BeginIdle() {
  state_ = stopping_ ? State::kDone : State::kHead;
  head_begun_ = false;
  if (input_.empty()) input_.Shrink();
  SetDeadline(limits().idle_timeout);
}

bool Session::ReadHead() {
  if (!head_begun_) {
    // Clients of old send a line end behind a body.
    while (!input_.empty() &&
           (input_.bytes()[0] == std::byte{'\r'} || input_.bytes()[0] == std::byte{'\n'})) {
      input_.Consume(1);
    }
    if (input_.empty()) return false;
    head_begun_ = true;
    head_bytes_ = 0;
    head_ = {};
    parser_.Reset();
    head_.begun = environment_->clock.Now();
    deadline_ = head_.begun + limits().header_timeout;
    if (access_) access_->Begin(head_.begun);
  }
  size_t used = 0;
  const RequestParser::Outcome outcome = parser_.ParseHead(input_.bytes(), head_, used);
  input_.Consume(used);
  head_bytes_ += used;
  const bool done = outcome == RequestParser::Outcome::kDone;
  if (outcome == RequestParser::Outcome::kFailed) {
    Reject(parser_.error_status(), parser_.error());
  } else if (head_bytes_ + (done ? 0 : input_.bytes().size()) >= limits().max_header_bytes) {
    Reject(431, Concat("the request's header is larger than the limit of ",
                       limits().max_header_bytes, " bytes"));
  } else {
    return done && BeginBody();
  }
  return false;
}

bool Session::BeginBody() {
  close_ = !head_.keep_alive;
  unread_ = false;
  skip_ = 0;
  progress_ = 0;
  Handler::Decision decision = handler_->OnHead(head_);
  if (decision.answer) {
    RespondToHead(*std::move(decision.answer));
    return true;
  }
  const uint64_t size = head_.content_length.value_or(0);
  if (size > limits().max_body_bytes) {
    RespondToHead(ErrorAnswer(
        413, Concat("the request's body of ", size, " bytes is larger than the limit of ",
                    limits().max_body_bytes, " bytes")));
    return true;
  }
  if (head_.expectation == Head::Expectation::kUnknown) {
    RespondToHead(ErrorAnswer(417, "the only expectation that can be met is 100-continue"));
    return true;
  }
  aligned_ = decision.aligned;
  compressed_left_ = size;
  state_ = decision.compressed ? State::kCompressed : State::kBody;
  if (head_.chunked) state_ = State::kChunks;
  SetDeadline(limits().body_timeout);
  if (decision.compressed) decompressor_.emplace(limits().max_body_bytes);
  if (state_ != State::kBody) input_.Reserve(kChunksRead);
  if (head_.expectation == Head::Expectation::kContinue && head_.http_1_1 && head_.has_body() &&
      input_.empty()) {
    output_.push_back(std::as_bytes(std::span(kContinue)));
  }
  return true;
}

bool Session::ReadBody() {
  const uint64_t size = head_.content_length.value_or(0);
  if (size > 0 && !body_.allocated()) {
    if (input_.empty()) return false;
    const Status status = body_.Allocate(size, aligned_);
    if (!status.ok()) {
      RejectBody(status);
      return false;
    }
  }
  const size_t here = std::min<size_t>(input_.bytes().size(), size - body_.size());
  if (here > 0) {
    const Status status = body_.Append(input_.bytes().first(here));
    input_.Consume(here);
    CountProgress(here);
    if (!status.ok()) {
      RejectBody(status);
      return false;
    }
  }
  if (body_.size() < size) return false;
  CompleteBody();
  return true;
}

bool Session::ReadCompressed() {
  const size_t here = std::min<uint64_t>(input_.bytes().size(), compressed_left_);
  if (here > 0 && !AddToBody(input_.bytes().first(here))) return false;
  input_.Consume(here);
  compressed_left_ -= here;
  if (compressed_left_ > 0) return false;
  CompleteBody();
  return true;
}

bool Session::ReadChunks() {
  size_t used = 0;
  const RequestParser::Outcome outcome = parser_.ParseChunks(
      input_.bytes(), [this](auto content) { return AddToBody(content); }, used);
  input_.Consume(used);
  if (outcome == RequestParser::Outcome::kDone) {
    CompleteBody();
    return true;
  }
  if (outcome == RequestParser::Outcome::kFailed) {
    if (state_ == State::kChunks) Reject(parser_.error_status(), parser_.error());
  } else if (input_.space().empty()) {
    input_.Grow(kMaxFraming);
    if (input_.space().empty()) Reject(400, "the framing of a chunk is too large");
  }
  return false;
}

bool Session::AddToBody(std::span<const std::byte> content) {
  CountProgress(content.size());
  if (!decompressor_ && content.size() > limits().max_body_bytes - body_.size()) {
    Reject(413, Concat("the request's body is larger than the limit of ", limits().max_body_bytes,
                       " bytes"));
    return false;
  }
  Status status;
  if (!body_.allocated()) status = body_.Allocate(kFirstBuffer, aligned_);
  if (status.ok() && decompressor_) {
    const std::optional<frontend::Refusal> refusal = decompressor_->Append(content, body_);
    if (refusal) Reject(StatusOf(refusal->reason), refusal->message);
    return !refusal;
  }
  if (status.ok()) status = body_.Append(content);
  if (!status.ok()) RejectBody(status);
  return status.ok();
}

void Session::CompleteBody() {
  if (decompressor_) {
    const std::optional<frontend::Refusal> refusal = decompressor_->Finish();
    decompressor_.reset();
    if (refusal) return Reject(StatusOf(refusal->reason), refusal->message);
  }
  state_ = State::kWorking;
  working_ = true;
  deadline_ = TimePoint::max();
  handler_->OnRequest(*this, head_, body_.Take());
}

bool Session::SkipBody() {
  const uint64_t here = std::min<uint64_t>(input_.bytes().size(), skip_);
  input_.Consume(here);
  skip_ -= here;
  if (state_ == State::kDraining) {
    if (skip_ == 0) state_ = State::kDone;
    return false;
  }
  if (skip_ > 0) return false;
  BeginIdle();
  return true;
}

void Session::CountProgress(size_t size) {
  progress_ += size;
  if (progress_ < kProgress) return;
  progress_ = 0;
  SetDeadline(limits().body_timeout);
}

void Session::RespondToHead(Answer answer) {
  // A client that waits to be told to go on may or may not send its body now.
  const bool skippable = !head_.chunked && head_.content_length.value_or(0) <= kMaxSkipped &&
                         head_.expectation == Head::Expectation::kNone;
  unread_ = head_.has_body();
  if (skippable) {
    skip_ = head_.content_length.value_or(0);
  } else if (unread_) {
    close_ = true;
  }
  StartSending(std::move(answer));
}

void Session::Reject(int status, std::string_view message) {
  close_ = true;
  unread_ = true;
  decompressor_.reset();
  body_.Release();
  StartSending(ErrorAnswer(status, message));
}

void Session::RejectBody(const Status& status) { Reject(503, status.message()); }

void Session::OnDeadline() {
  const bool in_head = state_ == State::kHead && head_begun_;
  if ((in_head || in_body()) && output_.empty()) {
    return Reject(
        408, in_head ? "the request's header took too long" : "the request's body took too long");
  }
  state_ = State::kDone;
}

void Session::OnStopping() {
  stopping_ = true;
  // A request that is not all there would be refused once it were: it is not waited for.
  if (state_ == State::kHead) {
    state_ = State::kDone;
  } else if (in_body() && output_.empty()) {
    Reject(503, "the server is shutting down and takes no new requests");
  }
}

}  // namespace despina::http
