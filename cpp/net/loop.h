// The event loop of one I/O thread. loop.cc is the only file that includes Asio.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "net/descriptor.h"

namespace despina::net {

// Unless said otherwise, functions of a loop and of what is made on it are called on the thread
// that runs it, or before it runs.
class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Handles events on the calling thread. Returns after Finish(), once nothing is waited for any
  // more: watches closed, timers stopped.
  void Run();
  // Any thread.
  void Finish();
  // Runs `task` on the loop's thread, in the order of the calls. Any thread. What comes after
  // Run() returned is dropped with the loop.
  void Post(std::function<void()> task);

 private:
  friend class Watch;
  friend class Timer;
  friend class EndOfTurn;
  struct Impl;
  std::unique_ptr<Impl> impl_;
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
// then; the watcher must keep the watch.
class Watch {
 public:
  // Not open when the system cannot watch the descriptor.
  Watch(Loop& loop, Descriptor descriptor);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  bool open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  bool waits_to_write() const { return waits_to_write_; }
  // Nothing where that wait is on already.
  void WaitReadable(std::shared_ptr<Watcher> watcher);
  void WaitWritable(std::shared_ptr<Watcher> watcher);
  // Closes the descriptor; the waits are dropped without being told.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int descriptor_ = -1;
  bool waits_to_read_ = false;
  bool waits_to_write_ = false;
};

// Calls a function after some time.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> expired);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  // Replaces a start that has not come to its end.
  void Start(Duration delay);
  void Stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
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
  Loop& loop_;
  std::function<void()> handler_;
  bool scheduled_ = false;
};

}  // namespace despina::net
