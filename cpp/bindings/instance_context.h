// What the engine knows of an instance of the author's, for all that it hands to it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "engine/definition.h"

namespace despina::bindings {

// What a backend declares: the values of despina_sdk.Capability.
inline constexpr uint64_t kStreaming = 1;
inline constexpr uint64_t kAsync = 2;

// Shared, since requests that were detached may outlive the instance.
struct InstanceContext {
  // "model 'm' version 1 instance 'm_0'"
  std::string label;
  uint64_t capabilities = 0;
};

// Whether the backend declares it; otherwise UNIMPLEMENTED is set. With the lock.
bool Declares(const InstanceContext& instance, uint64_t capability);

// What becomes of an exception of the author's that is the answer to `requests` (a text: whose).
// One with a traceback (see TakeException) is a mistake: it goes to the log, and the client is told
// which model it was. What a backend raises on purpose reaches the client as it is.
Status Reported(Status status, std::string_view traceback, const InstanceContext& instance,
                const ModelDefinition& model, std::string_view requests, std::string_view step);

}  // namespace despina::bindings
