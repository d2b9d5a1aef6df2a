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
  HttpService(std::shared_ptr<Shared> shared, const std::shared_ptr<net::Loop>& loop,
              const Published<Snapshot>& snapshot, frontend::ControlQueue& control,
              Allocator& allocator)
      : shared_(std::move(shared)),
        mailbox_(std::make_shared<net::Mailbox>(loop)),
        service_{.identity = shared_->identity,
                 .openapi = shared_->openapi,
                 .routes = shared_->options.role == Options::Role::kInference ? InferenceRoutes()
                                                                              : MetricsRoutes(),
                 .cors = shared_->options.cors.get(),
                 .access = shared_->options.access.get(),
                 .forwarding = shared_->options.forwarding.get(),
                 .allocator = allocator,
                 .metrics = shared_->metrics,
                 .regions = shared_->regions,
                 .allow_shared_memory = shared_->options.allow_shared_memory,
                 .control = control,
                 .submitter = Submitter(snapshot),
                 .end_of_turn{*loop, [this] { service_.submitter.Flush(); }},
                 .compression = frontend::CompressionQueue(*loop)} {}

  std::shared_ptr<net::Protocol> Accept(const net::Descriptor& client, bool crowded) override {
    auto session = std::make_shared<Session>(shared_->environment,
                                             std::make_unique<RequestHandler>(service_, mailbox_));
    if (shared_->options.log_access) session->LogAccess(net::PeerText(client));
    if (crowded) {
      session->RefuseAll(
          ErrorAnswer(503, Concat("the server has its limit of ", shared_->options.max_connections,
                                  " connections")));
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
  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<net::Mailbox> mailbox_;
  Service service_;
};

net::ServerOptions ServerOptionsOf(const Shared& shared) {
  const Options& options = shared.options;
  return {.name = std::string(RoleName(options.role)),
          .address = options.address,
          .port = options.port,
          .threads = options.threads,
          .tls = options.tls,
          .max_connections = options.max_connections,
          .opening_timeout = options.header_timeout,
          .tick = shared.tick(),
          .bytes_in_flight = {shared.environment, &shared.environment->bytes_in_flight}};
}

}  // namespace

Result<std::unique_ptr<net::Server>> Serve(Options options, const Published<Snapshot>& snapshot,
                                           frontend::ControlQueue& control, SharedRegions& regions,
                                           Allocator& allocator, Clock& clock) {
  if (options.tls) Introduce(*options.tls);
  const auto shared = std::make_shared<Shared>(std::move(options), regions, allocator, clock);
  return net::Server::Start(
      ServerOptionsOf(*shared),
      [&](const std::shared_ptr<net::Loop>& loop) {
        return std::make_unique<HttpService>(shared, loop, snapshot, control, allocator);
      },
      clock);
}

}  // namespace despina::http
