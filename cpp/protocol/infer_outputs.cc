#include "protocol/infer_outputs.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "protocol/classification.h"

namespace despina::protocol {
namespace {

Status WriteShared(std::string_view name, const Tensor& tensor, const SharedPlace& place) {
  if (tensor.data.size() > place.size) {
    return InvalidArgument(Concat("shared memory size specified with the request for output '",
                                  name, "' (", place.size, " bytes) should be at least ",
                                  tensor.data.size(), " bytes to hold the results"));
  }
  return place.region->Write(place.offset, tensor.data.bytes());
}

}  // namespace

std::optional<OutputPreference> PreferenceFor(uint32_t index,
                                              const OutputPreferences& preferences) {
  if (preferences.listed.empty()) {
    return OutputPreference{.index = index, .binary = preferences.binary_by_default};
  }
  const auto found = std::ranges::find(preferences.listed, index, &OutputPreference::index);
  if (found == preferences.listed.end()) return std::nullopt;
  return *found;
}

Result<const Tensor*> WantedTensor(const ModelDefinition& model, const OutputTensor& output,
                                   const OutputPreference& preference, Allocator& allocator,
                                   Tensor& classes) {
  const TensorDefinition& definition = model.outputs[output.index];
  if (preference.classification > 0) {
    Result<Tensor> classified = Classify(definition, output.tensor, model.batching_axis(),
                                         preference.classification, allocator);
    if (!classified.ok()) return classified.status();
    classes = *std::move(classified);
    return &classes;
  }
  if (preference.shared) {
    Status status = WriteShared(definition.name, output.tensor, preference.shared);
    if (!status.ok()) return status;
  }
  return &output.tensor;
}

}  // namespace despina::protocol
