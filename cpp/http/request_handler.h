// The requests of one connection: routes, reads and inference.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "engine/submit.h"
#include "frontend/access.h"
#include "frontend/compression_queue.h"
#include "frontend/control.h"
#include "frontend/header_forwarding.h"
#include "http/compression.h"
#include "http/cors.h"
#include "http/message.h"
#include "http/metrics_page.h"
#include "http/reads.h"
#include "http/routes.h"
#include "http/session.h"
#include "http/stream_call.h"
#include "memory/allocator.h"
#include "memory/shared_regions.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "protocol/infer_json.h"

namespace despina::http {

// What the connections of one loop share. Its loop's thread only.
struct Service {
  const ServerIdentity& identity;
  // The description of the routes.
  const std::string& openapi;
  std::span<const Route> routes;
  // Null: none.
  const Cors* cors;
  const frontend::AccessRules* access;
  const frontend::HeaderForwarding* forwarding;
  Allocator& allocator;
  MetricsPage& metrics;
  // What clients have lent, if they may.
  SharedRegions& regions;
  const bool allow_shared_memory;
  // Where requests go that change something.
  frontend::ControlQueue& control;
  Submitter submitter;
  // Flushes the submitter.
  net::EndOfTurn end_of_turn;
  frontend::CompressionQueue compression;
};

class RequestHandler final : public Handler, private Completion, private net::Mailbox::Item {
 public:
  // `service` is used while the loop runs, `mailbox` until the last request has completed.
  RequestHandler(Service& service, std::shared_ptr<net::Mailbox> mailbox)
      : service_(service), mailbox_(std::move(mailbox)) {}

  Decision OnHead(const Head& head) override;
  void OnRequest(Session& session, const Head& head, Slice body) override;
  void OnGone() override;

 private:
  void OnComplete(std::unique_ptr<Request> request, Turn& turn) noexcept override;
  void OnDelivered() override;

  void DecodeMatch();
  // What is said before anybody looks at what is asked for; nothing: it may be looked at.
  std::optional<Answer> AnswerBefore(const Head& head) const;
  // Whether the body is worth reading.
  Decision DecideOnBody(const Head& head);
  Decision DecideOnInfer(const Head& head);
  // Hands the request to the control plane.
  void Control(Session& session, Slice body);
  // Answers once nobody uses the memory any more.
  void UnregisterSharedMemory(Session& session);
  // Null unless the request is to be traced.
  std::shared_ptr<Trace> Sample(const Model& model, const Head& head);
  // Adds what is forwarded of the head.
  Status Forward(const Head& head, Request& request) const;
  // OK when the request is on its way; why it is not.
  Status Infer(Session& session, const Head& head, const Slice& body);
  Status Generate(Session& session, const Head& head, const Slice& body, StreamForm form);
  Status Stream(Session& session, StreamForm form, std::unique_ptr<Request> request,
                protocol::OutputPreferences preferences);

  Service& service_;
  const std::shared_ptr<net::Mailbox> mailbox_;
  // Views of the session's head, or of what was decoded of it.
  RouteMatch match_;
  std::string model_;
  std::string region_;

  protocol::OutputPreferences preferences_;
  // Of the answer.
  Coding coding_ = Coding::kIdentity;
  // With the engine, between submission and delivery.
  Request* in_flight_ = nullptr;
  // The last request that was answered in parts.
  std::shared_ptr<StreamCall> stream_;
  bool gone_ = false;
  // Keeps the session, and so this, until the request has come back.
  std::shared_ptr<Session> session_;
  std::unique_ptr<Request> completed_;
};

}  // namespace despina::http
