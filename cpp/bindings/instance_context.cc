#include "bindings/instance_context.h"

#include "base/text.h"
#include "bindings/errors.h"

namespace despina::bindings {

bool Declares(const InstanceContext& instance, uint64_t capability) {
  if ((instance.capabilities & capability) != 0) return true;
  const std::string_view name = capability == kStreaming ? "STREAMING" : "ASYNC";
  SetBackendError({Code::kUnimplemented, Concat("the backend does not declare Capability.", name)});
  return false;
}

Status Reported(Status status, std::string_view traceback, const InstanceContext& instance,
                const ModelDefinition& model, std::string_view requests, std::string_view step) {
  if (traceback.empty()) return status;
  LogTraceback(Concat(instance.label, ", ", requests, ": ", step, ": ", status.message()),
               traceback);
  return status.WithPrefix(Concat("model '", model.name, "': "));
}

}  // namespace despina::bindings
