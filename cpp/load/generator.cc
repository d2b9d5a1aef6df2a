#include "load/generator.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "base/thread.h"
#include "net/alarm.h"

namespace despina::load {
namespace {

constexpr Duration kTimeoutCheck = std::chrono::milliseconds(50);

// Of the calling thread, so far.
Duration ProcessorTime() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

// The share of one of several threads.
Plan ShareOf(const Plan& plan, size_t index, size_t threads) {
  Plan share = plan;
  if (plan.rate) {
    share.rate = *plan.rate / static_cast<double>(threads);
    const double after = static_cast<double>(index) * 1e9 / *plan.rate;
    share.first_due = Duration(static_cast<int64_t>(std::min(after, 9e18)));
  }
  if (plan.requests != UINT64_MAX) {
    share.requests = plan.requests / threads + (index < plan.requests % threads ? 1 : 0);
  }
  return share;
}

}  // namespace

// A thread with a loop and its lanes.
class Generator::Worker {
 public:
  Worker(const Plan& plan, std::function<void()> ended)
      : ended_(std::move(ended)),
        alarm_(*loop_, [this] { dispatcher_.Wake(); }),
        timeouts_(*loop_, [this] { CheckTimeouts(); }),
        dispatcher_(
            plan, Clock::System(), [this](TimePoint when) { alarm_.Set(when); },
            [this] { loop_->Post([this] { CloseAll(); }); }) {}
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() { Join(); }

  const std::shared_ptr<net::Loop>& loop() const { return loop_; }
  Dispatcher& dispatcher() { return dispatcher_; }
  void Add(std::shared_ptr<Lane> lane) { lanes_.push_back(std::move(lane)); }
  // `close` is called after the lanes have been closed.
  void Start(size_t index, std::function<void()> close) {
    close_ = std::move(close);
    loop_->Post([this] {
      for (const auto& lane : lanes_) dispatcher_.Ready(*lane);
      timeouts_.Start(kTimeoutCheck);
      dispatcher_.Start();
    });
    thread_ = Thread(Concat("load ", index), [this] {
      const TimePoint begin = Clock::System().Now();
      loop_->Run();
      running_ = Clock::System().Now() - begin;
      processor_ = ProcessorTime();
      ended_();
    });
  }
  void Stop() {
    loop_->Post([this] { dispatcher_.Stop(); });
  }
  // Stops it, if it has not ended.
  Figures Finish() {
    Join();
    Figures figures = dispatcher_.figures();
    figures.processor = processor_;
    figures.running = running_;
    figures.ended = dispatcher_.progress().ended;
    return figures;
  }

 private:
  void Join() {
    if (thread_.joinable()) Stop();
    thread_.Join();
  }
  void CheckTimeouts() {
    timeouts_.Start(kTimeoutCheck);
    dispatcher_.CheckTimeouts();
  }
  void CloseAll() {
    for (const auto& lane : lanes_) lane->Close();
    close_();
    timeouts_.Stop();
    alarm_.Close();
    loop_->Finish();
  }

  const std::function<void()> ended_;
  const std::shared_ptr<net::Loop> loop_ = std::make_shared<net::Loop>();
  net::Alarm alarm_;
  net::Timer timeouts_;
  Dispatcher dispatcher_;
  std::vector<std::shared_ptr<Lane>> lanes_;
  std::function<void()> close_;
  // Written by the thread at its end.
  Duration running_{};
  Duration processor_{};
  Thread thread_;
};

Result<std::unique_ptr<Generator>> Generator::Start(const Plan& plan, size_t lanes, size_t threads,
                                                    const Fill& fill) {
  threads = std::min(threads, lanes);
  std::unique_ptr<Generator> made(new Generator);
  try {
    for (size_t i = 0; i < threads; ++i) {
      made->workers_.push_back(
          std::make_unique<Worker>(ShareOf(plan, i, threads), [generator = made.get()] {
            std::lock_guard lock(generator->mutex_);
            --generator->running_;
            generator->changed_.notify_all();
          }));
    }
    for (size_t i = 0; i < threads; ++i) {
      Worker& worker = *made->workers_[i];
      auto close = fill(worker, lanes / threads + (i < lanes % threads ? 1 : 0));
      {
        std::lock_guard lock(made->mutex_);
        ++made->running_;
      }
      worker.Start(i, std::move(close));
    }
  } catch (const std::system_error& error) {
    return Unavailable(Concat("cannot put a load on it: ", std::string_view(error.what())));
  }
  return made;
}

Result<std::unique_ptr<Generator>> Generator::Start(const Plan& plan, size_t lanes, size_t threads,
                                                    HttpTarget target) {
  const auto shared = std::make_shared<const HttpTarget>(std::move(target));
  return Start(plan, lanes, threads, [&](Worker& worker, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      worker.Add(std::make_shared<HttpLane>(*shared, *worker.loop(), worker.dispatcher(),
                                            Clock::System()));
    }
    // Keeps what the lanes refer to.
    return [shared] {};
  });
}

Result<std::unique_ptr<Generator>> Generator::Start(const Plan& plan, size_t lanes, size_t threads,
                                                    GrpcTarget target) {
  const auto shared = std::make_shared<const GrpcTarget>(std::move(target));
  return Start(plan, lanes, threads, [&](Worker& worker, size_t count) {
    const auto feed =
        std::make_shared<GrpcFeed>(shared, *worker.loop(), worker.dispatcher(), Clock::System());
    std::shared_ptr<GrpcConnection> connection;
    for (size_t i = 0; i < count; ++i) {
      if (i % shared->streams_per_connection == 0) {
        connection = std::make_shared<GrpcConnection>(feed);
      }
      worker.Add(std::make_shared<GrpcLane>(connection));
    }
    return [] {};
  });
}

Result<std::unique_ptr<Generator>> Generator::Start(const Plan& plan, size_t lanes, size_t threads,
                                                    const EngineTarget& target,
                                                    const Published<Snapshot>& snapshot) {
  return Start(plan, lanes, threads, [&](Worker& worker, size_t count) {
    const auto feed = std::make_shared<EngineFeed>(target, snapshot, worker.loop(),
                                                   worker.dispatcher(), Clock::System());
    for (size_t i = 0; i < count; ++i) worker.Add(std::make_shared<EngineLane>(feed));
    return [feed] { feed->Close(); };
  });
}

Generator::~Generator() {
  Stop();
  // Before what they tell their end to goes.
  workers_.clear();
}

bool Generator::Wait(Duration time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return running_ == 0; });
}

void Generator::Stop() {
  for (const auto& worker : workers_) worker->Stop();
}

Generator::Progress Generator::progress() const {
  Progress sum;
  for (const auto& worker : workers_) {
    const Dispatcher::Progress& part = worker->dispatcher().progress();
    sum.ended += part.ended.load(std::memory_order_relaxed);
    sum.failed += part.failed.load(std::memory_order_relaxed);
  }
  return sum;
}

Figures Generator::Finish() {
  Figures sum;
  for (const auto& worker : workers_) {
    sum.Add(worker->Finish());
  }
  return sum;
}

}  // namespace despina::load
