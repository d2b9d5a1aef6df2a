// The event loop of one I/O thread: epoll, and no more than this server needs of it.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "net/descriptor.h"

namespace despina::net {

class EndOfTurn;
class Timer;
class Watch;

// Unless said otherwise, functions of a loop and of what is made on it are called on the thread
// that runs it, or before it runs. What is made on a loop is destroyed before it.
class Loop {
 public:
  // std::system_error when the system has no descriptors left.
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Handles events on the calling thread, in turns: what is ready, what was posted, timers, ends
  // of the turn. Returns after Finish(), once nothing is waited for any more: watches closed,
  // timers stopped.
  void Run();
  // Any thread.
  void Finish();
  // Runs `task` on the loop's thread, in the order of the calls. Any thread. What comes after
  // Run() returned is dropped with the loop.
  void Post(std::function<void()> task);
  // Says how much was read: a turn that has read much ends early, so that the work on it begins
  // while it is in the cache, and the other events wait for the next turn.
  void CountRead(size_t bytes) { read_in_turn_ += bytes; }

 private:
  friend class EndOfTurn;
  friend class Timer;
  friend class Watch;

  // Waits until there is something to do; false when the loop has ended.
  bool Wait();
  // The events that are ready; waits so many milliseconds for the first, -1: for ever.
  void Poll(int timeout);
  int TimeoutMilliseconds() const;
  // Whether the turn goes on with events that became ready during it. Its end wakes other threads,
  // which costs more than looking once again, and fewer turns have fewer ends.
  bool HasLatecomers();
  void TellWatches();
  void RunPosted();
  void RunTimers();
  void RunEndsOfTurn();
  // No event that has come already is told to `closed`.
  void DropEvents(const Watch& closed);

  const Descriptor epoll_;
  const Descriptor wake_up_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::function<void()>> posted_;
  bool asleep_ = false;

  // The loop's thread only.
  std::vector<std::function<void()>> running_;
  std::multimap<TimePoint, Timer*> timers_;
  std::vector<EndOfTurn*> ends_;
  std::vector<EndOfTurn*> running_ends_;
  std::array<epoll_event, 128> events_{};
  size_t next_event_ = 0;
  size_t event_count_ = 0;
  size_t read_in_turn_ = 0;
  bool looked_again_ = false;
  // Of watches, in either direction.
  size_t waits_ = 0;
  bool finishing_ = false;
};

// Told when a descriptor is ready.
class Watcher {
 public:
  virtual void OnReadable() = 0;
  virtual void OnWritable() = 0;

 protected:
  ~Watcher() = default;
};

// Waits for one descriptor, which it owns. Each wait is told once and keeps its watcher alive until
// then; the watcher must keep the watch. A descriptor that failed is ready for both.
class Watch {
 public:
  // Not open when the system cannot watch the descriptor.
  Watch(Loop& loop, Descriptor descriptor);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { Close(); }

  bool open() const { return static_cast<bool>(descriptor_); }
  int descriptor() const { return descriptor_.get(); }
  bool waits_to_write() const { return writer_ != nullptr; }
  // Nothing where that wait is on already.
  void WaitReadable(std::shared_ptr<Watcher> watcher);
  void WaitWritable(std::shared_ptr<Watcher> watcher);
  // Closes the descriptor; the waits are dropped without being told.
  void Close();

 private:
  friend class Loop;

  void Tell(uint32_t ready);
  uint32_t wanted() const { return (reader_ ? EPOLLIN : 0U) | (writer_ ? EPOLLOUT : 0U); }
  std::shared_ptr<Watcher> End(std::shared_ptr<Watcher>& wait);
  bool Register(int operation, uint32_t events);

  Loop& loop_;
  Descriptor descriptor_;
  // What the system tells. Reading stays registered from one wait to the next, which saves a
  // system call per read, until something comes that nobody waits for.
  uint32_t registered_ = 0;
  std::shared_ptr<Watcher> reader_;
  std::shared_ptr<Watcher> writer_;
};

// Calls a function after some time. The function must not destroy the timer.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> expired) : loop_(loop), expired_(std::move(expired)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { Stop(); }

  // Replaces a start that has not come to its end.
  void Start(Duration delay);
  void Stop();

 private:
  friend class Loop;

  Loop& loop_;
  std::function<void()> expired_;
  // In the loop's timers; their end when it is not started.
  std::multimap<TimePoint, Timer*>::iterator place_ = loop_.timers_.end();
};

// Calls a function once after everything that is ready now has been handled, however often it was
// scheduled in between. Must outlive the loop's Run().
class EndOfTurn {
 public:
  EndOfTurn(Loop& loop, std::function<void()> handler)
      : loop_(loop), handler_(std::move(handler)) {}
  EndOfTurn(const EndOfTurn&) = delete;
  EndOfTurn& operator=(const EndOfTurn&) = delete;

  void Schedule();

 private:
  friend class Loop;

  Loop& loop_;
  std::function<void()> handler_;
  bool scheduled_ = false;
};

}  // namespace despina::net
