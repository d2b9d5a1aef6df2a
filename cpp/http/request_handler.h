// The requests of one connection: routes, reads and inference.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "engine/submit.h"
#include "http/mailbox.h"
#include "http/message.h"
#include "http/metrics_page.h"
#include "http/reads.h"
#include "http/routes.h"
#include "http/session.h"
#include "memory/allocator.h"
#include "net/loop.h"
#include "protocol/infer_json.h"

namespace despina::http {

// What the connections of one loop share. Its loop's thread only.
struct Service {
  const ServerIdentity& identity;
  std::span<const Route> routes;
  Allocator& allocator;
  MetricsPage& metrics;
  Submitter submitter;
  // Flushes the submitter.
  net::EndOfTurn end_of_turn;
};

class RequestHandler final : public Handler, private Completion, private Mailbox::Item {
 public:
  // `service` is used while the loop runs, `mailbox` until the last request has completed.
  RequestHandler(Service& service, std::shared_ptr<Mailbox> mailbox)
      : service_(service), mailbox_(std::move(mailbox)) {}

  Decision OnHead(const Head& head) override;
  void OnRequest(Session& session, const Head& head, Slice body) override;
  void OnGone() override;

 private:
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override;
  void OnDelivered() override;

  // Whether the body is worth reading.
  Decision DecideOnInfer(const Head& head);
  // Null unless the request is to be traced.
  std::shared_ptr<Trace> Sample(const Model& model, const Head& head);
  // Nothing when the request is on its way; the answer when it failed.
  Status Infer(Session& session, const Head& head, const Slice& body);

  Service& service_;
  const std::shared_ptr<Mailbox> mailbox_;
  // Views of the session's head.
  RouteMatch match_;

  protocol::OutputPreferences preferences_;
  // With the engine, between submission and delivery.
  Request* in_flight_ = nullptr;
  bool gone_ = false;
  // Keeps the session, and so this, until the request has come back.
  std::shared_ptr<Session> session_;
  std::unique_ptr<Request> completed_;
};

}  // namespace despina::http
