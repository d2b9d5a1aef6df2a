#include "engine/batch_source.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace despina {
namespace {

BatchLimits LimitsOf(const ModelDefinition& definition) {
  return {.max_rows = static_cast<uint32_t>(std::max<int64_t>(definition.max_batch_size, 1)),
          .preferred_rows = definition.batching.preferred_rows,
          .max_delay = definition.batching.max_delay};
}

}  // namespace

BatchSource::BatchSource(const ModelDefinition& definition, Clock& clock)
    : dynamic_(definition.batching.dynamic && definition.batching_axis()),
      max_size_(definition.batching.max_queue_size),
      limits_(LimitsOf(definition)),
      clock_(clock) {}

// Requests are of one run when they supply the same inputs in the same shapes but for the rows.
void BatchSource::Number(Request& request) {
  request.state.sequence = ++last_sequence_;
  if (!dynamic_) return;
  bool same = last_shapes_.size() == request.inputs.size();
  last_shapes_.resize(request.inputs.size());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    std::optional<Shape> shape;
    if (request.inputs[i]) shape = request.inputs[i]->shape.WithoutFirst();
    if (last_shapes_[i] == shape) continue;
    same = false;
    last_shapes_[i] = shape;
  }
  if (!same) ++last_run_;
  request.state.shape_run = last_run_;
}

BatchSource::~BatchSource() {
  while (pushing_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
}

BatchSource::GivenBack BatchSource::Push(RequestChain chain) {
  // Once the requests can be seen they may be answered, and then nothing but this keeps the source.
  pushing_.fetch_add(1, std::memory_order_relaxed);
  bool wake = false;
  RequestChain cancelled;
  {
    std::lock_guard lock(mutex_);
    while (!chain.empty() && queue_.size() < max_size_ && !closed_) {
      std::unique_ptr<Request> request = chain.TakeFirst();
      Number(*request);
      // Who cancels it from now on finds it in the queue.
      request->state.queued = !request->cancelled();
      (request->state.queued ? queue_ : cancelled).Append(std::move(request));
    }
    // Who looks takes a batch, and wakes another over the rest.
    if (someone_looks_) arrived_.store(!queue_.empty(), std::memory_order_relaxed);
    wake = sleepers_ > 0 && !queue_.empty() && !someone_looks_;
  }
  // Without the lock: who wakes up needs it at once, and would go back to sleep over it.
  if (wake) changed_.notify_one();
  pushing_.fetch_sub(1, std::memory_order_release);
  return {.cancelled = std::move(cancelled), .refused = std::move(chain)};
}

std::optional<RequestChain> BatchSource::TryTake(TimePoint& until) {
  Decision decision{.take = 1};
  if (dynamic_) {
    decision = Decide(queue_.front(), limits_, closed_ ? TimePoint::max() : clock_.Now());
  }
  if (decision.take == 0) {
    until = decision.until;
    return std::nullopt;
  }
  RequestChain batch;
  for (size_t i = 0; i < decision.take; ++i) {
    std::unique_ptr<Request> request = queue_.TakeFirst();
    request->state.queued = false;
    batch.Append(std::move(request));
  }
  if (!queue_.empty() && sleepers_ > 0) changed_.notify_one();
  return batch;
}

void BatchSource::Sleep(std::unique_lock<std::mutex>& lock, std::optional<TimePoint> until) {
  ++sleepers_;
  if (until) {
    clock_.WaitUntil(changed_, lock, *until);
  } else {
    changed_.wait(lock);
  }
  --sleepers_;
}

bool BatchSource::LooksAgain(std::unique_lock<std::mutex>& lock) {
  if (someone_looks_ || !patience_.Worthwhile()) return false;
  someone_looks_ = true;
  arrived_.store(false, std::memory_order_relaxed);
  lock.unlock();
  Patience::Look(arrived_);
  lock.lock();
  someone_looks_ = false;
  patience_.Learn(!queue_.empty());
  return !queue_.empty() || closed_;
}

std::optional<RequestChain> BatchSource::Take(const std::function<void()>& idle) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!queue_.empty()) {
      TimePoint until{};
      if (auto batch = TryTake(until)) return batch;
      if (someone_holds_) {
        Sleep(lock, std::nullopt);
      } else {
        someone_holds_ = true;
        Sleep(lock, until);
        someone_holds_ = false;
      }
      continue;
    }
    if (closed_) return std::nullopt;
    if (LooksAgain(lock)) continue;
    lock.unlock();
    idle();
    lock.lock();
    if (queue_.empty() && !closed_) Sleep(lock, std::nullopt);
  }
}

std::unique_ptr<Request> BatchSource::Remove(Request& request) {
  std::lock_guard lock(mutex_);
  if (!request.state.queued) return nullptr;
  request.state.queued = false;
  return queue_.Take(request);
}

void BatchSource::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

size_t BatchSource::waiting() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

}  // namespace despina
