// Requests that only ask how things are: answered from the snapshot, on the loop's thread.
#pragma once

#include <string>

#include "engine/submit.h"
#include "http/message.h"
#include "http/routes.h"

namespace despina::http {

struct ServerIdentity {
  std::string name;
  std::string version;
};

// Precondition: the endpoint is neither kInfer nor kMetrics.
Answer AnswerRead(const RouteMatch& match, const Snapshot& snapshot, const ServerIdentity& server);

}  // namespace despina::http
