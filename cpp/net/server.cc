#include "net/server.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/text.h"
#include "base/thread.h"
#include "net/connection.h"
#include "net/listener.h"

namespace despina::net {
namespace {

// Connections over the limit that are told so at one time; others are closed without a word.
constexpr size_t kMaxRefused = 64;

// What the threads of a server share.
struct Shared {
  Shared(ServerOptions the_options, Clock& the_clock)
      : options(std::move(the_options)), clock(the_clock) {}

  void CountOpened() {
    const std::lock_guard lock(mutex);
    ++connections;
  }
  void CountClosed() {
    const std::lock_guard lock(mutex);
    --connections;
    if (connections == 0) emptied.notify_all();
  }

  const ServerOptions options;
  Clock& clock;
  std::mutex mutex;
  std::condition_variable emptied;
  // Changed under the mutex.
  std::atomic<size_t> connections{0};
};

// One loop, and what is served on it.
class Worker {
 public:
  Worker(Shared& shared, Descriptor listening, const Server::MakeService& make)
      : shared_(shared),
        loop_(std::make_shared<Loop>()),
        service_(make(loop_)),
        connections_(*loop_, [this] { shared_.CountClosed(); }),
        listener_(*loop_, std::move(listening),
                  [this](Descriptor descriptor) { Accept(std::move(descriptor)); }),
        tick_(*loop_, [this] { Tick(); }) {}

  void Run(std::string name) {
    listener_.Start();
    tick_.Start(shared_.options.tick);
    thread_ = Thread(std::move(name), [this] { loop_->Run(); });
  }

  // The following return at once; the loop does it. `done` is counted down then.
  void StopAccepting(std::shared_ptr<std::latch> done) {
    loop_->Post([this, done = std::move(done)] {
      listener_.Close();
      stopping_ = true;
      connections_.StopWhenIdle();
      done->count_down();
    });
  }

  void Finish() {
    loop_->Post([this] {
      tick_.Stop();
      listener_.Close();
      connections_.CloseAll();
      service_->OnEnding();
    });
    loop_->Finish();
  }

  void Join() { thread_.Join(); }

 private:
  void Accept(Descriptor descriptor) {
    const size_t others = shared_.connections.load();
    const size_t limit = shared_.options.max_connections;
    if (stopping_ || others >= limit + kMaxRefused) return;
    shared_.CountOpened();
    std::shared_ptr<Protocol> protocol = service_->Accept(descriptor, others >= limit);
    connections_.Add(Secure(std::move(descriptor)), std::move(protocol));
  }

  Accepted Secure(Descriptor descriptor) {
    const int number = descriptor.get();
    const auto& tls = shared_.options.tls;
    if (!tls) return {std::move(descriptor), std::make_unique<PlainStream>(number)};
    return {std::move(descriptor), tls->Accept(number),
            Later(shared_.clock.Now(), shared_.options.opening_timeout)};
  }

  void Tick() {
    connections_.CheckDeadlines(shared_.clock.Now());
    service_->OnTick();
    tick_.Start(shared_.options.tick);
  }

  Shared& shared_;
  const std::shared_ptr<Loop> loop_;
  const std::unique_ptr<LoopService> service_;
  ConnectionSet connections_;
  Listener listener_;
  Timer tick_;
  bool stopping_ = false;
  Thread thread_;
};

}  // namespace

class Server::Impl {
 public:
  Impl(ServerOptions options, Clock& clock) : shared(std::move(options), clock) {}

  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  uint16_t port = 0;
  bool running = false;
};

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, const MakeService& make,
                                              Clock& clock) {
  const std::string prefix = Concat("failed to start ", options.name, " service: ");
  const std::string thread_name = Concat(options.name, "-");
  const unsigned threads = std::max(1U, options.threads);
  Result<std::vector<ListeningSocket>> sockets = Listen(options.address, options.port, threads);
  if (!sockets.ok()) return sockets.status().WithPrefix(prefix);

  auto impl = std::make_unique<Impl>(std::move(options), clock);
  impl->port = sockets->front().port;
  try {
    for (ListeningSocket& each : *sockets) {
      impl->workers.push_back(
          std::make_unique<Worker>(impl->shared, std::move(each.descriptor), make));
    }
  } catch (const std::system_error& error) {
    return Status(Code::kResourceExhausted, Concat(prefix, "event loop: ", error.what()));
  }
  for (size_t i = 0; i < impl->workers.size(); ++i) {
    try {
      impl->workers[i]->Run(Concat(thread_name, i));
    } catch (const std::system_error& error) {
      // Those that run would not end by themselves.
      for (size_t j = 0; j < i; ++j) impl->workers[j]->Finish();
      return Status(Code::kResourceExhausted,
                    Concat(prefix, "thread ", i, " of ", threads, ": ", error.what()));
    }
  }
  impl->running = true;
  return std::make_unique<Server>(std::move(impl));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() { Close(TimePoint::min()); }

uint16_t Server::port() const { return impl_->port; }
size_t Server::connections() const { return impl_->shared.connections.load(); }
uint64_t Server::bytes_in_flight() const { return impl_->shared.options.bytes_in_flight->used(); }

void Server::StopAccepting() {
  if (!impl_->running) return;
  // Shared with the threads: they may still be leaving the latch when this returns.
  const auto done =
      std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(impl_->workers.size()));
  for (const auto& worker : impl_->workers) worker->StopAccepting(done);
  done->wait();
}

bool Server::Close(TimePoint deadline) {
  if (!impl_->running) return true;
  StopAccepting();
  Shared& shared = impl_->shared;
  bool empty = false;
  {
    std::unique_lock lock(shared.mutex);
    while (shared.connections > 0 && shared.clock.Now() < deadline) {
      shared.clock.WaitUntil(shared.emptied, lock, deadline);
    }
    empty = shared.connections == 0;
  }
  for (const auto& worker : impl_->workers) worker->Finish();
  for (const auto& worker : impl_->workers) worker->Join();
  impl_->running = false;
  return empty;
}

}  // namespace despina::net
