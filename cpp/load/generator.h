// Puts a load on a server, on threads of its own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "load/dispatcher.h"
#include "load/engine_lane.h"
#include "load/grpc_lane.h"
#include "load/http_lane.h"

namespace despina::load {

// Any thread, but for Finish(): one, once.
class Generator {
 public:
  struct Progress {
    // Of all requests, those of the warm-up as well.
    uint64_t ended = 0;
    uint64_t failed = 0;
  };

  // Begins. Up to `lanes` requests are under way at a time; they are divided among the threads.
  // Precondition of all: neither is 0. UNAVAILABLE: the system gives no threads or descriptors.
  static Result<std::unique_ptr<Generator>> Start(const Plan& plan, size_t lanes, size_t threads,
                                                  HttpTarget target);
  static Result<std::unique_ptr<Generator>> Start(const Plan& plan, size_t lanes, size_t threads,
                                                  GrpcTarget target);
  // The snapshot must outlive it.
  static Result<std::unique_ptr<Generator>> Start(const Plan& plan, size_t lanes, size_t threads,
                                                  const EngineTarget& target,
                                                  const Published<Snapshot>& snapshot);
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;
  // Stops it.
  ~Generator();

  // Waits at most so long for its end; whether that has come.
  bool Wait(Duration time);
  // Ends it at once; what is under way is not counted.
  void Stop();
  Progress progress() const;
  // Stops it, if it has not ended.
  Figures Finish();

 private:
  class Worker;
  // Gives a worker its lanes, as many as are said, and returns what closes what these share.
  using Fill = std::function<std::function<void()>(Worker& worker, size_t lanes)>;

  Generator() = default;
  static Result<std::unique_ptr<Generator>> Start(const Plan& plan, size_t lanes, size_t threads,
                                                  const Fill& fill);

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  size_t running_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace despina::load
