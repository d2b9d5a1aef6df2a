// The outputs of a response in the form that the client asked for, whatever protocol takes them.
#pragma once

#include <optional>
#include <string_view>

#include "base/status.h"
#include "engine/definition.h"
#include "engine/response.h"
#include "memory/allocator.h"
#include "protocol/infer_request.h"

namespace despina::protocol {

// The form of an output; nothing when it was not asked for.
std::optional<OutputPreference> PreferenceFor(uint32_t index, const OutputPreferences& preferences);

// The output as it is to be sent: the response's tensor, or its classes where they are asked for,
// which are put into `classes`. One that is to lie in shared memory is written there.
// INVALID_ARGUMENT where that cannot be; RESOURCE_EXHAUSTED.
Result<const Tensor*> WantedTensor(const ModelDefinition& model, const OutputTensor& output,
                                   const OutputPreference& preference, Allocator& allocator,
                                   Tensor& classes);

// Calls `visit` with name, tensor and preference of each output that was asked for, in the order of
// the response, until one fails. The tensor is the response's, unless it is classes: these last as
// long as the visit.
template <class Visit>
Status ForEachWantedOutput(const ModelDefinition& model, const Response& response,
                           const OutputPreferences& preferences, Allocator& allocator,
                           Visit visit) {
  for (const OutputTensor& output : response.outputs) {
    const std::optional<OutputPreference> preference = PreferenceFor(output.index, preferences);
    if (!preference) continue;
    Tensor classes;
    const Result<const Tensor*> tensor =
        WantedTensor(model, output, *preference, allocator, classes);
    if (!tensor.ok()) return tensor.status();
    Status status = visit(model.outputs[output.index].name, **tensor, *preference);
    if (!status.ok()) return status;
  }
  return Ok();
}

}  // namespace despina::protocol
