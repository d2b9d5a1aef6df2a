// The queue of a model, from which its idle instances pull their batches.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/patience.h"
#include "engine/batch_policy.h"
#include "engine/definition.h"
#include "engine/request.h"

namespace despina {

// Any thread. There is no thread of its own: of several instances that wait, one waits for the
// delay of the oldest request, the others until there is something.
class BatchSource {
 public:
  BatchSource(const ModelDefinition& definition, Clock& clock);
  // Nobody takes any more; a Push() whose requests have all been answered may still be returning.
  ~BatchSource();
  BatchSource(const BatchSource&) = delete;
  BatchSource& operator=(const BatchSource&) = delete;

  // What a Push() gives back, in order.
  struct GivenBack {
    // Numbered as the others, and not queued.
    RequestChain cancelled;
    // There is no room for them.
    RequestChain refused;
  };
  GivenBack Push(RequestChain chain);

  // Waits for the next batch; nothing once the source is closed and empty. `idle` is called,
  // without a lock, before the caller is put to sleep over an empty queue.
  std::optional<RequestChain> Take(const std::function<void()>& idle);

  // Takes a request out; null when it does not wait here any more.
  std::unique_ptr<Request> Remove(Request& request);

  // No batch is held back any longer, and Take() ends when the queue is empty.
  void Close();

  size_t waiting() const;

 private:
  void Number(Request& request);
  // With mutex_ held. Nothing: the queue is held back until `until`.
  std::optional<RequestChain> TryTake(TimePoint& until);
  // Waits awake for a moment, where that pays: whether there is something to do now. One at a time.
  bool LooksAgain(std::unique_lock<std::mutex>& lock);
  void Sleep(std::unique_lock<std::mutex>& lock, std::optional<TimePoint> until);

  const bool dynamic_;
  const size_t max_size_;
  const BatchLimits limits_;
  Clock& clock_;

  // Calls of Push() that have not returned.
  std::atomic<size_t> pushing_{0};
  // Tells the one who looks.
  std::atomic<bool> arrived_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_ from here on.
  RequestChain queue_;
  // Of the request that came last, to tell whether the next one continues its run.
  uint64_t last_run_ = 0;
  uint64_t last_sequence_ = 0;
  std::vector<std::optional<Shape>> last_shapes_;
  size_t sleepers_ = 0;
  bool someone_holds_ = false;
  bool someone_looks_ = false;
  Patience patience_;
  bool closed_ = false;
};

}  // namespace despina
