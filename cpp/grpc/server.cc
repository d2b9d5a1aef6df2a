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
    environment->compression_level = options.compression_level;
    if (options.access) options.access->AddTo(environment->fields);
    if (options.forwarding) environment->fields.AddAll();
    // What streams are asked for in their metadata.
    environment->fields.Add("triton_grpc_error");
  }

  // How often deadlines are looked at: late by a quarter of a timeout at most.
  Duration tick() const {
    const SessionLimits& limits = options.limits;
    const Duration shortest =
        std::min({limits.opening_timeout, limits.message_timeout, limits.keepalive.time,
                  limits.keepalive.timeout, limits.max_age, limits.max_age_grace});
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
  GrpcService(std::shared_ptr<Shared> shared, const std::shared_ptr<net::Loop>& loop,
              const Published<Snapshot>& snapshot, frontend::ControlQueue& control,
              Allocator& allocator)
      : shared_(std::move(shared)),
        service_{.server_name = shared_->options.server_name,
                 .server_version = shared_->options.server_version,
                 .access = shared_->options.access.get(),
                 .forwarding = shared_->options.forwarding.get(),
                 .descriptors = shared_->descriptors,
                 .allocator = allocator,
                 .regions = shared_->regions,
                 .allow_shared_memory = shared_->options.allow_shared_memory,
                 .control = control,
                 .mailbox = std::make_shared<net::Mailbox>(loop),
                 .submitter = Submitter(snapshot),
                 .end_of_turn{*loop, [this] { EndTurn(); }}},
        router_(service_),
        sessions_(*loop, router_) {}

  std::shared_ptr<net::Protocol> Accept(const net::Descriptor& client, bool crowded) override {
    auto session = std::make_shared<Session>(shared_->environment, sessions_, service_.end_of_turn);
    if (shared_->options.log_access) session->LogAccess(net::PeerText(client));
    if (crowded) {
      session->RefuseAll(
          Concat("the server has its limit of ", shared_->options.max_connections, " connections"));
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

  const std::shared_ptr<Shared> shared_;
  Service service_;
  ServiceRouter router_;
  SessionLoop sessions_;
};

net::ServerOptions ServerOptionsOf(const Shared& shared) {
  const Options& options = shared.options;
  return {.name = "GRPC",
          .address = options.address,
          .port = options.port,
          .threads = options.threads,
          .tls = options.tls,
          .max_connections = options.max_connections,
          .opening_timeout = options.limits.opening_timeout,
          .tick = shared.tick(),
          .bytes_in_flight = {shared.environment, &shared.environment->bytes_in_flight}};
}

}  // namespace

Result<std::unique_ptr<net::Server>> Serve(Options options, const Published<Snapshot>& snapshot,
                                           frontend::ControlQueue& control, SharedRegions& regions,
                                           Allocator& allocator, Clock& clock) {
  if (options.tls) options.tls->SetProtocols({"h2"});
  Result<protocol::Descriptors> descriptors = protocol::Descriptors::Make(options.descriptors);
  if (!descriptors.ok()) return descriptors.status();
  const auto shared = std::make_shared<Shared>(std::move(options), *std::move(descriptors), regions,
                                               allocator, clock);
  return net::Server::Start(
      ServerOptionsOf(*shared),
      [&](const std::shared_ptr<net::Loop>& loop) {
        return std::make_unique<GrpcService>(shared, loop, snapshot, control, allocator);
      },
      clock);
}

}  // namespace despina::grpc
