#include "load/engine_lane.h"

#include <utility>

#include "base/text.h"

namespace despina::load {

EngineFeed::EngineFeed(EngineTarget target, const Published<Snapshot>& snapshot,
                       std::shared_ptr<net::Loop> loop, Dispatcher& dispatcher, Clock& clock)
    : target_(std::move(target)),
      loop_(std::move(loop)),
      dispatcher_(&dispatcher),
      clock_(clock),
      mailbox_(loop_),
      submitter_(snapshot),
      end_of_turn_(*loop_, [this] { submitter_.Flush(); }) {}

Result<std::unique_ptr<Request>> EngineFeed::Make() {
  Result<ModelRef> model = submitter_.Find(target_.model, target_.version);
  if (!model.ok()) return model.status();
  auto request = std::make_unique<Request>(*std::move(model));
  if (request->inputs.size() != target_.inputs.size()) {
    return Status(Code::kFailedPrecondition, "the model was replaced by one with other inputs");
  }
  request->inputs = target_.inputs;
  return request;
}

Status EngineFeed::Submit(std::unique_ptr<Request>& request) {
  end_of_turn_.Schedule();
  return submitter_.Submit(request);
}

void EngineFeed::Close() {
  dispatcher_ = nullptr;
  mailbox_.Close();
}

void EngineLane::Begin() {
  Result<std::unique_ptr<Request>> made = feed_->Make();
  if (!made.ok()) return EndLater(made.status());
  std::unique_ptr<Request> request = *std::move(made);
  request->completion = this;
  request_ = request.get();
  {
    std::lock_guard lock(mutex_);
    self_ = shared_from_this();
  }
  if (Status status = feed_->Submit(request); !status.ok()) {
    request_ = nullptr;
    std::lock_guard lock(mutex_);
    self_.reset();
    EndLater(std::move(status));
  }
}

void EngineLane::Abort(std::string_view why) {
  if (request_ == nullptr) return;
  aborted_ = why;
  request_->Cancel();
}

void EngineLane::Close() {
  if (request_ != nullptr) request_->Cancel();
}

void EngineLane::OnPart(const Request&, Response&&) noexcept {
  const TimePoint now = feed_->clock().Now();
  std::unique_lock lock(mutex_);
  parts_.push_back(now);
  Deliver(std::move(lock));
}

void EngineLane::OnComplete(std::unique_ptr<Request> request, Turn&) noexcept {
  const TimePoint now = feed_->clock().Now();
  std::unique_lock lock(mutex_);
  completed_ = std::move(request);
  completed_at_ = now;
  Deliver(std::move(lock));
}

void EngineLane::Deliver(std::unique_lock<std::mutex> lock) {
  // Once pushed, and the lock left, the loop may be done with this.
  const std::shared_ptr<EngineLane> self = self_;
  const std::unique_lock held(std::move(lock));
  if (std::exchange(in_mailbox_, true) || feed_->mailbox().Push(*this)) return;
  // Nobody counts any more.
  in_mailbox_ = false;
  parts_.clear();
  if (!completed_) return;
  completed_.reset();
  self_.reset();
}

void EngineLane::OnDelivered() {
  std::vector<TimePoint> parts;
  std::unique_ptr<Request> completed;
  std::shared_ptr<EngineLane> self;
  {
    std::lock_guard lock(mutex_);
    in_mailbox_ = false;
    parts.swap(parts_);
    completed = std::move(completed_);
    self = completed ? std::move(self_) : self_;
  }
  Dispatcher* dispatcher = feed_->dispatcher();
  if (completed) request_ = nullptr;
  if (dispatcher == nullptr) return;
  for (const TimePoint when : parts) dispatcher->Responded(*this, when);
  if (!completed) return;
  const Response& last = completed->response;
  // The end of a stream carries an error, or the whole answer of a model that sent no parts.
  if (completed->model->definition().decoupled && !last.outputs.empty()) {
    dispatcher->Responded(*this, completed_at_);
  }
  End(completed_at_, last.status);
}

void EngineLane::EndLater(Status status) {
  feed_->loop().Post([self = shared_from_this(), status = std::move(status)] {
    self->End(self->feed_->clock().Now(), status);
  });
}

void EngineLane::End(TimePoint end, const Status& status) {
  Dispatcher* dispatcher = feed_->dispatcher();
  if (dispatcher == nullptr) return;
  // A model may have answered all the same.
  std::string failure = std::exchange(aborted_, {});
  if (failure.empty() && !status.ok()) {
    failure = Concat(CodeName(status.code()), ": ", status.message());
  }
  dispatcher->Ended(*this, {.end = end, .failure = failure});
  dispatcher->Ready(*this);
}

}  // namespace despina::load
