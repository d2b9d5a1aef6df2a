// What the calls of one loop share.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "engine/submit.h"
#include "frontend/access.h"
#include "frontend/control.h"
#include "frontend/header_forwarding.h"
#include "memory/allocator.h"
#include "memory/shared_regions.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "protocol/infer_proto_response.h"
#include "protocol/reflection_proto.h"

namespace despina::grpc {

class HealthWatch;

// The loop's thread only, unless said otherwise.
struct Service {
  const std::string& server_name;
  const std::string& server_version;
  // Null: none.
  const frontend::AccessRules* access;
  const frontend::HeaderForwarding* forwarding;
  // What server reflection tells.
  const protocol::Descriptors& descriptors;
  Allocator& allocator;
  // What clients have lent, if they may.
  SharedRegions& regions;
  const bool allow_shared_memory;
  // Where requests go that change something.
  frontend::ControlQueue& control;
  // What other threads answer comes through this.
  std::shared_ptr<net::Mailbox> mailbox;
  Submitter submitter;
  // Flushes the submitter, then the sessions.
  net::EndOfTurn end_of_turn;
  // Those who want to be told when the server's health changes.
  std::unordered_set<HealthWatch*> watches{};
};

// What calls are told once the server ends.
inline constexpr std::string_view kStopped =
    "GRPC server is shutting down and has stopped accepting new requests.";

// The bytes of a message, as those who read it want them.
inline std::string_view TextOf(const Slice& message) {
  return {reinterpret_cast<const char*>(message.data()), message.size()};
}

// A message that is one text.
protocol::EncodedMessage MessageOf(std::string_view bytes);

// Fields of a call's head that backends see are added to a request's parameters.
inline Status Forward(const Service& service, std::span<const frontend::Field> fields,
                      Request& request) {
  if (service.forwarding == nullptr) return Ok();
  return service.forwarding->AddTo(request.parameters, fields);
}

}  // namespace despina::grpc
