#include "http/server.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "http/metrics_page.h"
#include "http/openapi.h"
#include "http/reads.h"
#include "http/request_handler.h"
#include "http/routes.h"
#include "http/session.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/peer.h"
#include "net/server.h"

namespace despina::http {
namespace {

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
  Shared(Options the_options, SharedRegions& the_regions, Allocator& allocator, Clock& clock)
      : options(std::move(the_options)),
        identity{options.server_name, options.server_version},
        openapi(OpenApiJson(InferenceRoutes(), identity)),
        environment(std::make_shared<SessionEnvironment>(
            LimitsOf(options), options.max_bytes_in_flight, allocator, clock)),
        regions(the_regions),
        metrics(options.metrics, clock) {
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

  const Options options;
  const ServerIdentity identity;
  const std::string openapi;
  const std::shared_ptr<SessionEnvironment> environment;
  SharedRegions& regions;
  MetricsPage metrics;
};

// What is served on one loop.
class HttpService final : public net::LoopService {
 public:
  HttpService(Shared& shared, const std::shared_ptr<net::Loop>& loop,
              const Published<Snapshot>& snapshot, frontend::ControlQueue& control,
              Allocator& allocator)
      : shared_(shared),
        mailbox_(std::make_shared<net::Mailbox>(loop)),
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
                 .end_of_turn{*loop, [this] { service_.submitter.Flush(); }},
                 .compression = frontend::CompressionQueue(*loop)} {}

  std::shared_ptr<net::Protocol> Accept(const net::Descriptor& client, bool crowded) override {
    auto session = std::make_shared<Session>(shared_.environment,
                                             std::make_unique<RequestHandler>(service_, mailbox_));
    if (shared_.options.log_access) session->LogAccess(net::PeerText(client));
    if (crowded) {
      session->RefuseAll(ErrorAnswer(503, Concat("the server has its limit of ",
                                                 shared_.options.max_connections, " connections")));
    }
    return session;
  }

  // Lets go of models that are gone, also when no request comes.
  void OnTick() override { service_.submitter.snapshot(); }

  void OnEnding() override {
    // Ships what the last round brought: the engine must answer it.
    service_.submitter.Flush();
    mailbox_->Close();
  }

 private:
  Shared& shared_;
  const std::shared_ptr<net::Mailbox> mailbox_;
  Service service_;
};

net::ServerOptions ServerOptionsOf(const Options& options, Duration tick) {
  return {.name = std::string(RoleName(options.role)),
          .address = options.address,
          .port = options.port,
          .threads = options.threads,
          .tls = options.tls,
          .max_connections = options.max_connections,
          .opening_timeout = options.header_timeout,
          .tick = tick};
}

}  // namespace

class Server::Impl {
 public:
  Impl(Options options, SharedRegions& regions, Allocator& allocator, Clock& clock)
      : shared(std::move(options), regions, allocator, clock) {}

  Shared shared;
  std::unique_ptr<net::Server> server;
};

Result<std::unique_ptr<Server>> Server::Start(Options options, const Published<Snapshot>& snapshot,
                                              frontend::ControlQueue& control,
                                              SharedRegions& regions, Allocator& allocator,
                                              Clock& clock) {
  if (options.tls) Introduce(*options.tls);
  auto impl = std::make_unique<Impl>(std::move(options), regions, allocator, clock);
  Shared& shared = impl->shared;
  Result<std::unique_ptr<net::Server>> server = net::Server::Start(
      ServerOptionsOf(shared.options, shared.tick()),
      [&](const std::shared_ptr<net::Loop>& loop) {
        return std::make_unique<HttpService>(shared, loop, snapshot, control, allocator);
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

}  // namespace despina::http
