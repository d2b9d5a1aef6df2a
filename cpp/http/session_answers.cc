// How a session answers: at once, or in parts.
#include <algorithm>
#include <utility>

#include "base/text.h"
#include "http/session.h"

namespace despina::http {
namespace {

// What is read of a client that goes on sending after its answer, and for how long.
constexpr uint64_t kMaxDrained = uint64_t{64} << 20;
constexpr Duration kDrainTime = std::chrono::seconds(5);
// Answers up to this size need no budget, so that errors can be told when it is spent.
constexpr size_t kMaxUncharged = 4096;
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

void Session::Respond(Answer answer) {
  working_ = false;
  // Only now: what a request holds counts until it is answered, also when the client has gone.
  if (state_ != State::kWorking) return body_.Release();
  StartSending(std::move(answer));
  if (transport_) transport_->Resume();
}

void Session::BeginParts(const Answer& answer) {
  if (state_ != State::kWorking) return;
  state_ = State::kParts;
  close_ = close_ || stopping_ || !head_.http_1_1;
  if (access_) access_->SetStatus(answer.status);
  std::string head;
  WriteAnswerHead(answer, head_.http_1_1 ? Framing::kChunks : Framing::kClose, head);
  QueuePiece(std::move(head), {}, {});
}

void Session::SendPart(std::string_view before, Slice content, std::string_view after) {
  const size_t size = before.size() + content.size() + after.size();
  if (state_ != State::kParts || size == 0) return;
  if (head_.http_1_1) {
    QueuePiece(Concat(ChunkHead(size), before), std::move(content), Concat(after, kLineEnd));
  } else {
    QueuePiece(std::string(before), std::move(content), std::string(after));
  }
}

void Session::EndParts(std::shared_ptr<Trace> trace) {
  working_ = false;
  if (state_ == State::kParts && head_.http_1_1) QueuePiece(std::string(kLastChunk), {}, {});
  if (state_ != State::kParts) return body_.Release();
  state_ = State::kSending;
  answer_.trace = std::move(trace);
  if (output_.empty()) {
    FinishAnswer();
    Proceed();
  }
  if (transport_) transport_->Resume();
}

void Session::QueuePiece(std::string head, Slice content, std::string tail) {
  const size_t size = head.size() + content.size() + tail.size();
  if (unsent_ == 0) {
    progress_ = 0;
    SetDeadline(limits().body_timeout);
  }
  unsent_ += size;
  if (unsent_ > limits().max_body_bytes || !body_.Charge(unsent_).ok()) {
    state_ = State::kDone;
    output_.clear();
  } else {
    const Piece& kept =
        pieces_.emplace_back(std::move(head), std::move(content), std::move(tail), size);
    for (const auto bytes : {Bytes(kept.head), kept.content.bytes(), Bytes(kept.tail)}) {
      if (!bytes.empty()) output_.push_back(bytes);
    }
  }
  if (transport_) transport_->Resume();
}

void Session::DropSent(size_t size) {
  unsent_ -= std::min(unsent_, size);
  while (size > 0 && !pieces_.empty()) {
    Piece& oldest = pieces_.front();
    const size_t of_it = std::min(size, oldest.unsent);
    size -= of_it;
    oldest.unsent -= of_it;
    if (oldest.unsent == 0) pieces_.pop_front();
  }
}

void Session::RefuseAll(Answer answer) {
  close_ = true;
  unread_ = true;
  StartSending(std::move(answer));
}

void Session::StartSending(Answer answer) {
  state_ = State::kSending;
  progress_ = 0;
  SetDeadline(limits().body_timeout);
  close_ = close_ || stopping_;
  answer_ = std::move(answer);
  if (const size_t size = answer_.body_size(); size > kMaxUncharged) {
    // Part of it may be the request's memory: the larger of the two is charged.
    const Status charged = body_.Charge(size);
    if (!charged.ok()) answer_ = ErrorAnswer(503, charged.message());
  }
  if (access_) access_->SetStatus(answer_.status);
  if (answer_.trace) {
    answer_.trace->Stamp(TraceActivity::kHttpSendStart, environment_->clock.Now());
  }
  WriteAnswerHead(answer_, Framing::kSize, answer_head_);
  output_.clear();
  output_.push_back(Bytes(answer_head_));
  // The answer to HEAD tells the size of a body that it does not have.
  if (head_.method == Method::kHead) return;
  if (!answer_.text.empty()) output_.push_back(Bytes(answer_.text));
  for (const Slice& slice : answer_.slices) {
    if (!slice.empty()) output_.push_back(slice.bytes());
  }
}

void Session::WriteAnswerHead(const Answer& answer, Framing framing, std::string& out) const {
  Persistence persistence = Persistence::kImplied;
  if (close_) {
    persistence = Persistence::kSayClose;
  } else if (!head_.http_1_1) {
    persistence = Persistence::kSayKeepAlive;
  }
  std::string more;
  if (environment_->cors) environment_->cors->AppendFields(head_, more);
  WriteHead(answer, persistence, framing, more, out);
}

void Session::OnWritten(size_t size) {
  if (state_ == State::kSending || state_ == State::kParts) CountProgress(size);
  if (access_) access_->AddBytes(size);
  DropSent(size);
  size_t sent = 0;
  while (sent < output_.size() && output_[sent].size() <= size) size -= output_[sent++].size();
  output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(sent));
  if (!output_.empty()) {
    output_[0] = output_[0].subspan(size);
    return;
  }
  // The next part may be long in coming.
  if (state_ == State::kParts) deadline_ = TimePoint::max();
  if (state_ == State::kSending) FinishAnswer();
  Proceed();
}

void Session::FinishAnswer() {
  if (access_) access_->End(head_, environment_->clock.Now());
  if (answer_.trace) {
    answer_.trace->Stamp(TraceActivity::kHttpSendEnd, environment_->clock.Now());
  }
  answer_ = {};
  body_.Release();
  if (close_) {
    const bool more = unread_ || !input_.empty();
    state_ = more ? State::kDraining : State::kDone;
    skip_ = kMaxDrained;
    SetDeadline(kDrainTime);
  } else if (skip_ > 0) {
    state_ = State::kSkipping;
    SetDeadline(limits().body_timeout);
  } else {
    BeginIdle();
  }
}

}  // namespace despina::http
