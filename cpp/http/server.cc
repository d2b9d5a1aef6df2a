#include "http/server.h"

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
#include "http/mailbox.h"
#include "http/metrics_page.h"
#include "http/openapi.h"
#include "http/reads.h"
#include "http/request_handler.h"
#include "http/routes.h"
#include "http/session.h"
#include "net/connection.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/peer.h"

namespace despina::http {
namespace {

// Connections over the limit that are told so at one time; others are closed without a word.
constexpr size_t kMaxRefused = 64;

std::string_view RoleName(Options::Role role) {
  return role == Options::Role::kInference ? "HTTP" : "metrics";
}

SessionLimits LimitsOf(const Options& options) {
  return {.max_header_bytes = options.max_header_bytes,
          .max_body_bytes = options.max_body_bytes,
          .header_timeout = options.header_timeout,
          .body_timeout = options.body_timeout,
          .idle_timeout = options.idle_timeout};
}

// Tells TLS what is spoken over it.
void Introduce(net::TlsContext& tls) {
  tls.SetProtocols({"http/1.1"});
  const Answer answer = ErrorAnswer(400, "this port speaks HTTPS: HTTP needs TLS here");
  std::string text;
  WriteHead(answer, Persistence::kSayClose, Framing::kSize, "", text);
  tls.SetPlaintextAnswer(text + answer.text);
}

// What the threads of a server share.
struct Shared {
  Shared(Options the_options, Allocator& allocator, Clock& the_clock)
      : options(std::move(the_options)),
        identity{options.server_name, options.server_version},
        openapi(OpenApiJson(InferenceRoutes(), identity)),
        environment(std::make_shared<SessionEnvironment>(
            LimitsOf(options), options.max_bytes_in_flight, allocator, the_clock)),
        clock(the_clock),
        metrics(options.metrics, the_clock) {
    environment->cors = options.cors;
    if (options.cors) options.cors->AddTo(environment->fields);
    if (options.access) options.access->AddTo(environment->fields);
    if (options.forwarding) environment->fields.AddAll();
  }

  // How often deadlines are looked at: late by a quarter of a timeout at most.
  Duration tick() const {
    const Duration shortest =
        std::min({options.header_timeout, options.body_timeout, options.idle_timeout});
    return std::clamp<Duration>(shortest / 4, std::chrono::milliseconds(5),
                                std::chrono::seconds(1));
  }

  void CountClosed() {
    std::lock_guard lock(mutex);
    --connections;
    if (connections == 0) emptied.notify_all();
  }

  const Options options;
  const ServerIdentity identity;
  const std::string openapi;
  const std::shared_ptr<SessionEnvironment> environment;
  Clock& clock;
  SharedRegions regions;
  MetricsPage metrics;
  std::mutex mutex;
  std::condition_variable emptied;
  // Changed under the mutex.
  std::atomic<size_t> connections{0};
};

// One loop, and what is served on it.
class Worker {
 public:
  Worker(Shared& shared, net::Descriptor listening, const Published<Snapshot>& snapshot,
         ControlQueue& control, Allocator& allocator)
      : shared_(shared),
        loop_(std::make_shared<net::Loop>()),
        mailbox_(std::make_shared<Mailbox>(loop_)),
        service_{.identity = shared.identity,
                 .openapi = shared.openapi,
                 .routes = shared.options.role == Options::Role::kInference ? InferenceRoutes()
                                                                            : MetricsRoutes(),
                 .cors = shared.options.cors.get(),
                 .access = shared.options.access.get(),
                 .forwarding = shared.options.forwarding.get(),
                 .allocator = allocator,
                 .metrics = shared.metrics,
                 .regions = shared.regions,
                 .allow_shared_memory = shared.options.allow_shared_memory,
                 .control = control,
                 .submitter = Submitter(snapshot),
                 .end_of_turn{*loop_, [this] { service_.submitter.Flush(); }},
                 .compression{*loop_, allocator}},
        connections_(*loop_, [this] { shared_.CountClosed(); }),
        listener_(*loop_, std::move(listening),
                  [this](net::Descriptor descriptor) { Accept(std::move(descriptor)); }),
        tick_(*loop_, [this] { Tick(); }) {}

  void Run(std::string name) {
    listener_.Start();
    tick_.Start(shared_.tick());
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
      // Ships what the last round brought: the engine must answer it.
      service_.submitter.Flush();
      mailbox_->Close();
    });
    loop_->Finish();
  }

  void Join() { thread_.Join(); }

 private:
  void Accept(net::Descriptor descriptor) {
    const size_t others = shared_.connections.load();
    const size_t limit = shared_.options.max_connections;
    if (stopping_ || others >= limit + kMaxRefused) return;
    {
      std::lock_guard lock(shared_.mutex);
      ++shared_.connections;
    }
    std::string client;
    if (shared_.options.log_access) client = net::PeerText(descriptor);
    net::Accepted accepted = Secure(std::move(descriptor));
    auto session = std::make_shared<Session>(shared_.environment,
                                             std::make_unique<RequestHandler>(service_, mailbox_));
    if (shared_.options.log_access) session->LogAccess(std::move(client));
    if (others >= limit) {
      session->RefuseAll(
          ErrorAnswer(503, Concat("the server has its limit of ", limit, " connections")));
    }
    connections_.Add(std::move(accepted), std::move(session));
  }

  net::Accepted Secure(net::Descriptor descriptor) {
    const int number = descriptor.get();
    const auto& tls = shared_.options.tls;
    if (!tls) return {std::move(descriptor), std::make_unique<net::PlainStream>(number)};
    return {std::move(descriptor), tls->Accept(number),
            Later(shared_.clock.Now(), shared_.options.header_timeout)};
  }

  void Tick() {
    connections_.CheckDeadlines(shared_.clock.Now());
    // Lets go of models that are gone, also when no request comes.
    service_.submitter.snapshot();
    tick_.Start(shared_.tick());
  }

  Shared& shared_;
  const std::shared_ptr<net::Loop> loop_;
  const std::shared_ptr<Mailbox> mailbox_;
  Service service_;
  net::ConnectionSet connections_;
  net::Listener listener_;
  net::Timer tick_;
  bool stopping_ = false;
  Thread thread_;
};

}  // namespace

class Server::Impl {
 public:
  Impl(Options options, Allocator& allocator, Clock& clock)
      : shared(std::move(options), allocator, clock) {}

  Shared shared;
  std::vector<std::unique_ptr<Worker>> workers;
  uint16_t port = 0;
  bool running = false;
};

Result<std::unique_ptr<Server>> Server::Start(Options options, const Published<Snapshot>& snapshot,
                                              ControlQueue& control, Allocator& allocator,
                                              Clock& clock) {
  const std::string_view role = RoleName(options.role);
  const std::string prefix = Concat("failed to start ", role, " service: ");
  const std::string thread_name = Concat(role, "-");
  const unsigned threads = std::max(1U, options.threads);
  Result<std::vector<net::ListeningSocket>> sockets =
      net::Listen(options.address, options.port, threads);
  if (!sockets.ok()) return sockets.status().WithPrefix(prefix);
  if (options.tls) Introduce(*options.tls);

  auto impl = std::make_unique<Impl>(std::move(options), allocator, clock);
  impl->port = sockets->front().port;
  try {
    for (net::ListeningSocket& each : *sockets) {
      impl->workers.push_back(std::make_unique<Worker>(impl->shared, std::move(each.descriptor),
                                                       snapshot, control, allocator));
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
uint64_t Server::bytes_in_flight() const {
  return impl_->shared.environment->bytes_in_flight.used();
}

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

}  // namespace despina::http
