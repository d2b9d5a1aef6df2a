// Requests that change something, on their way to the control plane and back.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "http/mailbox.h"
#include "http/routes.h"
#include "http/session.h"
#include "memory/buffer.h"

namespace despina::http {

// One of them. Made on the thread of its event loop, answered once, on any thread; one that goes
// without an answer is answered with 500.
class ControlCall {
 public:
  ControlCall(const RouteMatch& match, Slice body, std::shared_ptr<Session> session,
              std::shared_ptr<Mailbox> mailbox);
  ControlCall(const ControlCall&) = delete;
  ControlCall& operator=(const ControlCall&) = delete;
  ~ControlCall();

  // Of the route.
  std::string_view operation() const { return operation_; }
  // What the path names; empty where it does not.
  const std::string& model() const { return model_; }
  const std::string& repository() const { return repository_; }
  const Slice& body() const { return body_; }

  // `json` may be empty: then the answer has no body. False when it was answered before.
  bool Answer(std::string json);
  bool Fail(const Status& status);

 private:
  class Reply;
  bool Send(http::Answer answer);

  const std::string_view operation_;
  const std::string model_;
  const std::string repository_;
  const Slice body_;
  const std::shared_ptr<Mailbox> mailbox_;
  std::mutex mutex_;
  // Null once it is answered. Guarded by mutex_.
  std::shared_ptr<Session> session_;
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

}  // namespace despina::http
