#include "protocol/infer_response.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "base/text.h"
#include "engine/model.h"
#include "protocol/classification.h"
#include "protocol/json_tensor.h"
#include "protocol/json_text.h"
#include "protocol/text_buffer.h"

namespace despina::protocol {
namespace {

Status AppendParameters(const std::vector<Parameter>& parameters, TextBuffer& text) {
  if (parameters.empty()) return Ok();
  text.Append(R"(,"parameters":{)");
  for (size_t i = 0; i < parameters.size(); ++i) {
    text.Append(i > 0 ? "," : "", Quoted(parameters[i].name), ':');
    if (Status status = AppendParameterValue(parameters[i], text); !status.ok()) return status;
  }
  text.Append('}');
  return Ok();
}

// The form of an output; nothing when it was not asked for.
std::optional<OutputPreference> PreferenceFor(uint32_t index,
                                              const OutputPreferences& preferences) {
  if (preferences.listed.empty()) {
    return OutputPreference{.index = index, .binary = preferences.binary_by_default};
  }
  const auto found = std::ranges::find(preferences.listed, index, &OutputPreference::index);
  if (found == preferences.listed.end()) return std::nullopt;
  return *found;
}

Status WriteShared(std::string_view name, const Tensor& tensor, const SharedPlace& place) {
  if (tensor.data.size() > place.size) {
    return InvalidArgument(Concat("shared memory size specified with the request for output '",
                                  name, "' (", place.size, " bytes) should be at least ",
                                  tensor.data.size(), " bytes to hold the results"));
  }
  return place.region->Write(place.offset, tensor.data.bytes());
}

Status AppendOutput(std::string_view name, const Tensor& tensor, const OutputPreference& preference,
                    TextBuffer& text, std::vector<Slice>& tensors) {
  text.Append(R"({"name":)", Quoted(name), R"(,"datatype":")", DataTypeName(tensor.datatype),
              R"(","shape":)", ToText(tensor.shape));
  if (preference.shared) {
    text.Append('}');
    return WriteShared(name, tensor, preference.shared);
  }
  if (preference.binary) {
    text.Append(R"(,"parameters":{"binary_data_size":)", tensor.data.size(), "}}");
    if (!tensor.data.empty()) tensors.push_back(tensor.data);
    return Ok();
  }
  text.Append(R"(,"data":)");
  if (Status status = AppendJsonTensor(name, tensor, text); !status.ok()) return status;
  text.Append('}');
  return Ok();
}

Status AppendOutputs(const ModelDefinition& model, const Response& response,
                     const OutputPreferences& preferences, Allocator& allocator, TextBuffer& text,
                     std::vector<Slice>& tensors) {
  std::string_view separator;
  text.Append(R"(,"outputs":[)");
  for (const OutputTensor& output : response.outputs) {
    const std::optional<OutputPreference> preference = PreferenceFor(output.index, preferences);
    if (!preference) continue;
    const TensorDefinition& definition = model.outputs[output.index];
    text.Append(std::exchange(separator, ","));
    Status status;
    if (preference->classification > 0) {
      Result<Tensor> classes = Classify(definition, output.tensor, model.batching_axis(),
                                        preference->classification, allocator);
      status = classes.ok() ? AppendOutput(definition.name, *classes, *preference, text, tensors)
                            : classes.status();
    } else {
      status = AppendOutput(definition.name, output.tensor, *preference, text, tensors);
    }
    if (!status.ok()) return status;
  }
  text.Append("]}");
  return Ok();
}

}  // namespace

Status AppendParameterValue(const Parameter& parameter, TextBuffer& text) {
  if (const auto* number = std::get_if<double>(&parameter.value)) {
    if (!std::isfinite(*number)) {
      return Internal(
          Concat("response parameter '", parameter.name, "' is not finite, which JSON lacks"));
    }
    text.Append(Number(*number));
  } else if (const auto* truth = std::get_if<bool>(&parameter.value)) {
    text.Append(*truth ? "true" : "false");
  } else if (const auto* integer = std::get_if<int64_t>(&parameter.value)) {
    text.Append(*integer);
  } else {
    text.Append(Quoted(std::get<std::string>(parameter.value)));
  }
  return Ok();
}

uint64_t EncodedResponse::size() const {
  return std::accumulate(tensors.begin(), tensors.end(), uint64_t{json.size()},
                         [](uint64_t sum, const Slice& tensor) { return sum + tensor.size(); });
}

Result<EncodedResponse> EncodeInfer(const Request& request, const Response& response,
                                    const OutputPreferences& preferences, Allocator& allocator) {
  const ModelDefinition& model = request.model->definition();
  TextBuffer text(allocator);
  text.Append('{');
  if (!request.id.empty()) text.Append(R"("id":)", Quoted(request.id), ',');
  text.Append(R"("model_name":)", Quoted(model.name), R"(,"model_version":")", model.version, '"');
  Status status = AppendParameters(response.parameters, text);
  if (!status.ok()) return status;
  EncodedResponse encoded;
  status = AppendOutputs(model, response, preferences, allocator, text, encoded.tensors);
  if (!status.ok()) return status;
  Result<Slice> json = text.Take();
  if (!json.ok()) return json.status();
  encoded.json = *std::move(json);
  return encoded;
}

}  // namespace despina::protocol
