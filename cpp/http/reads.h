// Requests that only ask how things are: answered from the snapshot, on the loop's thread.
#pragma once

#include <string>

#include "engine/submit.h"
#include "http/message.h"
#include "http/routes.h"
#include "memory/buffer.h"

namespace despina::http {

struct ServerIdentity {
  std::string name;
  std::string version;
};

// Precondition: the endpoint is one that only asks, takes no body, and is not kMetrics.
Answer AnswerRead(const RouteMatch& match, const Snapshot& snapshot, const ServerIdentity& server);

// The repository's index: of all versions, or with {"ready":true} of those that take requests.
Answer AnswerIndex(const Snapshot& snapshot, const Slice& body);

}  // namespace despina::http
