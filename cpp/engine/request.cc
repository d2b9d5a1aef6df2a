#include "engine/request.h"

#include <algorithm>
#include <utility>

namespace despina {

bool Request::Wants(uint32_t output) const {
  return requested_outputs.empty() ||
         std::ranges::find(requested_outputs, output) != requested_outputs.end();
}

RequestChain::~RequestChain() {
  while (first_ != nullptr) {
    const std::unique_ptr<Request> gone(std::exchange(first_, first_->state.next));
  }
}

void RequestChain::Swap(RequestChain& other) noexcept {
  std::swap(first_, other.first_);
  std::swap(last_, other.last_);
  std::swap(size_, other.size_);
}

void RequestChain::Append(std::unique_ptr<Request> request) {
  Request* added = request.release();
  added->state.next = nullptr;
  added->state.previous = last_;
  (last_ ? last_->state.next : first_) = added;
  last_ = added;
  ++size_;
}

void RequestChain::Append(RequestChain chain) {
  if (chain.empty()) return;
  chain.first_->state.previous = last_;
  (last_ ? last_->state.next : first_) = chain.first_;
  last_ = chain.last_;
  size_ += chain.size_;
  chain.first_ = chain.last_ = nullptr;
  chain.size_ = 0;
}

std::unique_ptr<Request> RequestChain::TakeFirst() { return Take(*first_); }

std::unique_ptr<Request> RequestChain::Take(Request& request) {
  RequestState& state = request.state;
  (state.previous ? state.previous->state.next : first_) = state.next;
  (state.next ? state.next->state.previous : last_) = state.previous;
  state.next = state.previous = nullptr;
  --size_;
  return std::unique_ptr<Request>(&request);
}

}  // namespace despina
