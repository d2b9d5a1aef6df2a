// Requests to a model of this process, without a front end.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/submit.h"
#include "load/dispatcher.h"
#include "net/loop.h"
#include "net/mailbox.h"

namespace despina::load {

struct EngineTarget {
  std::string model;
  std::optional<int64_t> version;
  // By index of the model's inputs. Each request shares their memory.
  InputTensors inputs;
};

// What the lanes of one loop share. The loop's thread, unless said otherwise.
class EngineFeed {
 public:
  EngineFeed(EngineTarget target, const Published<Snapshot>& snapshot,
             std::shared_ptr<net::Loop> loop, Dispatcher& dispatcher, Clock& clock);

  // A request without a completion, or why the model takes none.
  Result<std::unique_ptr<Request>> Make();
  // To be flushed at the end of the turn.
  Status Submit(std::unique_ptr<Request>& request);
  // Answers that come later are dropped, and the dispatcher is told nothing any more.
  void Close();

  // Null once it is closed.
  Dispatcher* dispatcher() { return dispatcher_; }
  // Any thread.
  net::Mailbox& mailbox() { return mailbox_; }
  Clock& clock() { return clock_; }
  net::Loop& loop() { return *loop_; }

 private:
  const EngineTarget target_;
  const std::shared_ptr<net::Loop> loop_;
  Dispatcher* dispatcher_;
  Clock& clock_;
  net::Mailbox mailbox_;
  Submitter submitter_;
  net::EndOfTurn end_of_turn_;
};

// Keeps itself while a request is under way: a model may answer after everything else has gone.
class EngineLane final : public Lane,
                         public Completion,
                         public net::Mailbox::Item,
                         public std::enable_shared_from_this<EngineLane> {
 public:
  explicit EngineLane(std::shared_ptr<EngineFeed> feed) : feed_(std::move(feed)) {}

  void Begin() override;
  void Abort(std::string_view why) override;
  void Close() override;

 private:
  void OnPart(const Request& request, Response&& part) noexcept override;
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override;
  void OnDelivered() override;
  // With mutex_ held, which it leaves.
  void Deliver(std::unique_lock<std::mutex> lock);
  void EndLater(Status status);
  void End(TimePoint end, const Status& status);

  const std::shared_ptr<EngineFeed> feed_;
  // The loop's thread: what was submitted and not delivered, and why it was cancelled.
  Request* request_ = nullptr;
  std::string aborted_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<EngineLane> self_;
  std::vector<TimePoint> parts_;
  std::unique_ptr<Request> completed_;
  TimePoint completed_at_{};
  bool in_mailbox_ = false;
};

}  // namespace despina::load
