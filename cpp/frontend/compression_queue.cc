#include "frontend/compression_queue.h"

#include <utility>

namespace despina::frontend {
namespace {

// About a millisecond's work.
constexpr size_t kPart = size_t{64} << 10;

}  // namespace

CompressionQueue::CompressionQueue(net::Loop& loop)
    : left_(kPart), end_of_turn_(loop, [this] { BeginTurn(); }) {}

void CompressionQueue::Start(std::unique_ptr<Job> job) {
  jobs_.push_back(std::move(job));
  Work();
}

void CompressionQueue::BeginTurn() {
  left_ = kPart;
  if (!jobs_.empty()) Work();
}

void CompressionQueue::Work() {
  end_of_turn_.Schedule();
  while (left_ > 0 && !jobs_.empty()) {
    std::unique_ptr<Job> job = std::move(jobs_.front());
    jobs_.pop_front();
    if (!job->Continue(left_)) jobs_.push_back(std::move(job));
  }
}

}  // namespace despina::frontend
