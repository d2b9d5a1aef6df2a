// Requests that change something, on their way to the control plane and back.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "memory/buffer.h"

namespace despina::frontend {

// One of them. Made on the thread of its event loop, answered once, on any thread; one that goes
// without an answer is answered with INTERNAL.
class ControlCall {
 public:
  // Brings the content of the answer, or the error, to who asked. Called once, on any thread; must
  // not block.
  using Reply = std::function<void(Result<std::string>)>;

  // `operation` is one of the front end's, which lives as long as the program. `model` is what the
  // request names beside its body, if it does.
  ControlCall(std::string_view operation, std::string_view model, Slice body, Reply reply)
      : operation_(operation), model_(model), body_(std::move(body)), reply_(std::move(reply)) {}
  ControlCall(const ControlCall&) = delete;
  ControlCall& operator=(const ControlCall&) = delete;
  ~ControlCall() { Fail(Internal("the control plane has dropped the request")); }

  std::string_view operation() const { return operation_; }
  const std::string& model() const { return model_; }
  const Slice& body() const { return body_; }

  // What the front end's protocol has for an answer; may be empty. False when it was answered
  // before.
  bool Answer(std::string content) { return Send(std::move(content)); }
  // Precondition: an error.
  bool Fail(const Status& status) { return Send(status); }

 private:
  bool Send(Result<std::string> answer);

  const std::string_view operation_;
  const std::string model_;
  const Slice body_;
  std::mutex mutex_;
  // Empty once it is answered. Guarded by mutex_.
  Reply reply_;
};

// Where the control plane takes them from. Any thread.
class ControlQueue {
 public:
  // So many wait at a time: they are few, unless somebody floods the server with them.
  static constexpr size_t kMaxWaiting = 256;

  // UNAVAILABLE: too many wait, or nobody takes them any more.
  Status Push(std::shared_ptr<ControlCall> call);
  // Waits for the next one; null once the queue is closed.
  std::shared_ptr<ControlCall> Take();
  // What waits is refused.
  void Close();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<std::shared_ptr<ControlCall>> waiting_;
  bool closed_ = false;
};

}  // namespace despina::frontend
