#include "grpc/server.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "grpc/health.h"
#include "grpc/router.h"
#include "grpc/service.h"
#include "grpc/session.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/peer.h"
#include "net/server.h"

namespace despina::grpc {
namespace {

// What the threads of a server share.
struct Shared {
  Shared(Options the_options, protocol::Descriptors the_descriptors, SharedRegions& the_regions,
         Allocator& allocator, Clock& clock)
      : options(std::move(the_options)),
        descriptors(std::move(the_descriptors)),
        regions(the_regions),
        environment(std::make_shared<SessionEnvironment>(
            options.limits, options.max_bytes_in_flight, allocator, clock)) {
    if (options.access) options.access->AddTo(environment->fields);
    if (options.forwarding) environment->fields.AddAll();
    // What streams are asked for in their metadata.
    environment->fields.Add("triton_grpc_error");
  }

  // How often deadlines are looked at: late by a quarter of a timeout at most.
  Duration tick() const {
    const SessionLimits& limits = options.limits;
    const Duration shortest =
        std::min({limits.opening_timeout, limits.keepalive.time, limits.keepalive.timeout,
                  limits.max_age, limits.max_age_grace});
    return std::clamp<Duration>(shortest / 4, std::chrono::milliseconds(5),
                                std::chrono::seconds(1));
  }

  const Options options;
  const protocol::Descriptors descriptors;
  SharedRegions& regions;
  const std::shared_ptr<SessionEnvironment> environment;
};

// What is served on one loop.
class GrpcService final : public net::LoopService {
 public:
  GrpcService(Shared& shared, const std::shared_ptr<net::Loop>& loop,
              const Published<Snapshot>& snapshot, frontend::ControlQueue& control,
              Allocator& allocator)
      : shared_(shared),
        service_{.server_name = shared.options.server_name,
                 .server_version = shared.options.server_version,
                 .access = shared.options.access.get(),
                 .forwarding = shared.options.forwarding.get(),
                 .descriptors = shared.descriptors,
                 .allocator = allocator,
                 .regions = shared.regions,
                 .allow_shared_memory = shared.options.allow_shared_memory,
                 .control = control,
                 .mailbox = std::make_shared<net::Mailbox>(loop),
                 .submitter = Submitter(snapshot),
                 .end_of_turn{*loop, [this] { EndTurn(); }}},
        router_(service_),
        sessions_(*loop, router_) {}

  std::shared_ptr<net::Protocol> Accept(const net::Descriptor& client, bool crowded) override {
    auto session = std::make_shared<Session>(shared_.environment, sessions_, service_.end_of_turn);
    if (shared_.options.log_access) session->LogAccess(net::PeerText(client));
    if (crowded) {
      session->RefuseAll(
          Concat("the server has its limit of ", shared_.options.max_connections, " connections"));
    }
    return session;
  }

  void OnTick() override {
    // Looking at the snapshot lets go of models that are gone, also when no call comes.
    service_.submitter.snapshot();
    LookAll(service_);
  }

  void OnEnding() override {
    // Ships what the last round brought: the engine must answer it.
    service_.submitter.Flush();
    service_.mailbox->Close();
  }

 private:
  void EndTurn() {
    service_.submitter.Flush();
    sessions_.FlushAll();
  }

  Shared& shared_;
  Service service_;
  ServiceRouter router_;
  SessionLoop sessions_;
};

net::ServerOptions ServerOptionsOf(const Options& options, Duration tick) {
  return {.name = "GRPC",
          .address = options.address,
          .port = options.port,
          .threads = options.threads,
          .tls = options.tls,
          .max_connections = options.max_connections,
          .opening_timeout = options.limits.opening_timeout,
          .tick = tick};
}

}  // namespace

class Server::Impl {
 public:
  Impl(Options options, protocol::Descriptors descriptors, SharedRegions& regions,
       Allocator& allocator, Clock& clock)
      : shared(std::move(options), std::move(descriptors), regions, allocator, clock) {}

  Shared shared;
  std::unique_ptr<net::Server> server;
};

Result<std::unique_ptr<Server>> Server::Start(Options options, const Published<Snapshot>& snapshot,
                                              frontend::ControlQueue& control,
                                              SharedRegions& regions, Allocator& allocator,
                                              Clock& clock) {
  if (options.tls) options.tls->SetProtocols({"h2"});
  Result<protocol::Descriptors> descriptors = protocol::Descriptors::Make(options.descriptors);
  if (!descriptors.ok()) return descriptors.status();
  auto impl = std::make_unique<Impl>(std::move(options), *std::move(descriptors), regions,
                                     allocator, clock);
  Shared& shared = impl->shared;
  Result<std::unique_ptr<net::Server>> server = net::Server::Start(
      ServerOptionsOf(shared.options, shared.tick()),
      [&](const std::shared_ptr<net::Loop>& loop) {
        return std::make_unique<GrpcService>(shared, loop, snapshot, control, allocator);
      },
      clock);
  if (!server.ok()) return server.status();
  impl->server = *std::move(server);
  return std::make_unique<Server>(std::move(impl));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() = default;

uint16_t Server::port() const { return impl_->server->port(); }
size_t Server::connections() const { return impl_->server->connections(); }
uint64_t Server::bytes_in_flight() const {
  return impl_->shared.environment->bytes_in_flight.used();
}

void Server::StopAccepting() { impl_->server->StopAccepting(); }

bool Server::Close(TimePoint deadline) { return impl_->server->Close(deadline); }

}  // namespace despina::grpc
