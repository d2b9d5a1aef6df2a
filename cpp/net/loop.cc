#include "net/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

namespace despina::net {
namespace {

// What a core's cache holds.
constexpr size_t kReadPerTurn = size_t{1} << 20;

Descriptor Opened(int number, const char* what) {
  if (number < 0) throw std::system_error(errno, std::generic_category(), what);
  return Descriptor(number);
}

}  // namespace

Loop::Loop()
    : epoll_(Opened(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      wake_up_(Opened(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd")) {
  // Edge-triggered: each write is told once, and its count need not be read.
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_up_.get(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
}

void Loop::Run() {
  while (Wait()) {
    TellWatches();
    RunPosted();
    RunTimers();
    if (!HasLatecomers()) RunEndsOfTurn();
  }
}

void Loop::Finish() {
  Post([this] { finishing_ = true; });
}

void Loop::Post(std::function<void()> task) {
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    wake = std::exchange(asleep_, false);
  }
  if (!wake) return;
  const uint64_t one = 1;
  // Fails only when the count is full: then it has not been asleep.
  [[maybe_unused]] const ssize_t written = ::write(wake_up_.get(), &one, sizeof one);
}

bool Loop::Wait() {
  if (next_event_ < event_count_) return true;
  int timeout = TimeoutMilliseconds();
  {
    std::lock_guard lock(mutex_);
    if (!posted_.empty()) {
      timeout = 0;
    } else if (finishing_ && waits_ == 0 && timers_.empty() && ends_.empty()) {
      return false;
    }
    asleep_ = timeout != 0;
  }
  Poll(timeout);
  return true;
}

void Loop::Poll(int timeout) {
  const int count =
      ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), timeout);
  next_event_ = 0;
  event_count_ = count > 0 ? static_cast<size_t>(count) : 0;
}

bool Loop::HasLatecomers() {
  if (ends_.empty() || next_event_ < event_count_) return false;
  if (std::exchange(looked_again_, true)) return false;
  Poll(0);
  return event_count_ > 0;
}

int Loop::TimeoutMilliseconds() const {
  if (!ends_.empty()) return 0;
  if (timers_.empty()) return -1;
  const Duration left = timers_.begin()->first - Clock::System().Now();
  // Up, so that the timer has expired then.
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<int64_t>(rounded, 0, std::numeric_limits<int>::max()));
}

void Loop::TellWatches() {
  while (next_event_ < event_count_ && read_in_turn_ < kReadPerTurn) {
    const epoll_event& event = events_[next_event_++];
    if (event.data.ptr != nullptr) static_cast<Watch*>(event.data.ptr)->Tell(event.events);
  }
}

void Loop::DropEvents(const Watch& closed) {
  for (size_t i = next_event_; i < event_count_; ++i) {
    if (events_[i].data.ptr == &closed) events_[i].data.ptr = nullptr;
  }
}

void Loop::RunPosted() {
  {
    std::lock_guard lock(mutex_);
    asleep_ = false;
    running_.swap(posted_);
  }
  for (const auto& task : running_) task();
  running_.clear();
}

void Loop::RunTimers() {
  if (timers_.empty()) return;
  const TimePoint now = Clock::System().Now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timer& timer = *timers_.begin()->second;
    timer.Stop();
    timer.expired_();
  }
}

void Loop::RunEndsOfTurn() {
  running_ends_.swap(ends_);
  for (EndOfTurn* each : running_ends_) {
    each->scheduled_ = false;
    each->handler_();
  }
  running_ends_.clear();
  read_in_turn_ = 0;
  looked_again_ = false;
}

Watch::Watch(Loop& loop, Descriptor descriptor) : loop_(loop), descriptor_(std::move(descriptor)) {
  if (!Register(EPOLL_CTL_ADD, EPOLLIN)) descriptor_ = Descriptor();
}

bool Watch::Register(int operation, uint32_t events) {
  registered_ = events;
  // The system tells of failures unasked: of one that nobody waits for, once is enough.
  epoll_event event{.events = events == 0 ? EPOLLET : events, .data = {.ptr = this}};
  return ::epoll_ctl(loop_.epoll_.get(), operation, descriptor_.get(), &event) == 0;
}

void Watch::WaitReadable(std::shared_ptr<Watcher> watcher) {
  if (reader_ || !open()) return;
  reader_ = std::move(watcher);
  ++loop_.waits_;
  if ((registered_ & EPOLLIN) == 0) Register(EPOLL_CTL_MOD, wanted());
}

void Watch::WaitWritable(std::shared_ptr<Watcher> watcher) {
  if (writer_ || !open()) return;
  writer_ = std::move(watcher);
  ++loop_.waits_;
  if ((registered_ & EPOLLOUT) == 0) Register(EPOLL_CTL_MOD, registered_ | EPOLLOUT);
}

std::shared_ptr<Watcher> Watch::End(std::shared_ptr<Watcher>& wait) {
  if (wait) --loop_.waits_;
  return std::exchange(wait, nullptr);
}

void Watch::Tell(uint32_t ready) {
  if ((ready & (EPOLLERR | EPOLLHUP)) != 0) ready |= EPOLLIN | EPOLLOUT;
  const bool unexpected = (ready & wanted()) == 0;
  // These keep their watchers, and so this, until the end.
  const auto reader = (ready & EPOLLIN) != 0 ? End(reader_) : nullptr;
  const auto writer = (ready & EPOLLOUT) != 0 ? End(writer_) : nullptr;
  if (reader) reader->OnReadable();
  if (writer && open()) writer->OnWritable();
  // A socket can nearly always be written to.
  const bool idle_write = (registered_ & ~wanted() & EPOLLOUT) != 0;
  // Registering the same again would have a failure told again, and so for ever.
  if (open() && (unexpected || idle_write) && registered_ != wanted()) {
    Register(EPOLL_CTL_MOD, wanted());
  }
}

void Watch::Close() {
  if (!open()) return;
  loop_.DropEvents(*this);
  // Closing alone would not do it where a forked process has the descriptor as well.
  Register(EPOLL_CTL_DEL, 0);
  descriptor_ = Descriptor();
  // Last: this may go with its watcher.
  const auto reader = End(reader_);
  const auto writer = End(writer_);
}

void Timer::Start(Duration delay) {
  Stop();
  place_ = loop_.timers_.emplace(Later(Clock::System().Now(), delay), this);
}

void Timer::Stop() {
  if (place_ == loop_.timers_.end()) return;
  loop_.timers_.erase(place_);
  place_ = loop_.timers_.end();
}

void EndOfTurn::Schedule() {
  if (std::exchange(scheduled_, true)) return;
  loop_.ends_.push_back(this);
}

}  // namespace despina::net
