#include "engine/ordered_release.h"

#include <utility>

namespace despina {

void OrderedRelease::Pass(std::unique_ptr<Request> request, Turn& turn) {
  std::unique_lock lock(mutex_);
  const uint64_t sequence = request->state.sequence;
  held_.emplace(sequence, std::move(request));
  // One thread at a time gives back, so that two of them cannot overtake each other.
  if (releasing_) return;
  releasing_ = true;
  while (!held_.empty() && held_.begin()->first == next_) {
    std::unique_ptr<Request> due = std::move(held_.begin()->second);
    held_.erase(held_.begin());
    ++next_;
    lock.unlock();
    Completion* completion = due->completion;
    completion->OnComplete(std::move(due), turn);
    lock.lock();
  }
  releasing_ = false;
}

}  // namespace despina
