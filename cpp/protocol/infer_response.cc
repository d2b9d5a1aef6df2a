#include "protocol/infer_response.h"

#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>
#include <variant>

#include "base/text.h"
#include "engine/model.h"
#include "protocol/infer_outputs.h"
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

Status AppendOutput(std::string_view name, const Tensor& tensor, const OutputPreference& preference,
                    TextBuffer& text, std::vector<Slice>& tensors) {
  text.Append(R"({"name":)", Quoted(name), R"(,"datatype":")", DataTypeName(tensor.datatype),
              R"(","shape":)", ToText(tensor.shape));
  if (preference.shared) {
    text.Append('}');
    return Ok();
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
  Status status = ForEachWantedOutput(
      model, response, preferences, allocator,
      [&](std::string_view name, const Tensor& tensor, const OutputPreference& preference) {
        text.Append(std::exchange(separator, ","));
        return AppendOutput(name, tensor, preference, text, tensors);
      });
  text.Append("]}");
  return status;
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
