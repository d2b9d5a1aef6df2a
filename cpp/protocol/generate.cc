#include "protocol/generate.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "engine/model.h"
#include "protocol/infer_parameters.h"
#include "protocol/infer_response.h"
#include "protocol/json_tensor.h"
#include "protocol/json_text.h"
#include "protocol/json_value.h"
#include "protocol/text_buffer.h"

namespace despina::protocol {
namespace {

bool HoldsArrays(const JsonValue& value) {
  if (!value.is_array()) return false;
  const JsonArray array = value.get_array().value_unsafe();
  return array.size() > 0 && array.at(0).value_unsafe().is_array();
}

// Arrays in arrays that are equally long; nothing when they are not.
std::optional<Shape> NestedShape(const JsonArray& array) {
  Shape shape{static_cast<int64_t>(array.size())};
  std::optional<Shape> inner;
  for (const JsonValue each : array) {
    if (!each.is_array()) return std::nullopt;
    const JsonArray part = each.get_array().value_unsafe();
    const std::optional<Shape> next =
        HoldsArrays(each) ? NestedShape(part) : Shape{static_cast<int64_t>(part.size())};
    if (!next || (inner && inner != next)) return std::nullopt;
    inner = next;
  }
  for (const int64_t dim : inner->dims()) {
    if (!shape.Append(dim)) return std::nullopt;
  }
  return shape;
}

// So many elements as a shape that fits `dims`: the sizes that are fixed divide them, the last one
// that is open takes what is left, and the other open ones are 1.
std::optional<Shape> ShapeOfCount(uint64_t count, const Shape& dims) {
  std::vector<int64_t> shape(dims.dims().begin(), dims.dims().end());
  uint64_t fixed = 1;
  for (const int64_t dim : shape) fixed *= dim > 0 ? static_cast<uint64_t>(dim) : 1;
  if (fixed == 0 || count % fixed != 0) return std::nullopt;
  int64_t rest = static_cast<int64_t>(count / fixed);
  for (auto dim = shape.rbegin(); dim != shape.rend(); ++dim) {
    if (*dim < 0) *dim = std::exchange(rest, 1);
  }
  if (rest != 1) return std::nullopt;
  Shape out;
  for (const int64_t dim : shape) out.Append(dim);
  return out;
}

Result<Shape> ShapeOf(const TensorDefinition& input, const JsonValue& value, bool batched) {
  const Shape dims = batched ? input.dims.WithFirst(-1) : input.dims;
  std::optional<Shape> shape;
  if (HoldsArrays(value)) {
    shape = NestedShape(value.get_array().value_unsafe());
    if (shape && shape->rank() != dims.rank()) shape = std::nullopt;
  } else {
    shape = ShapeOfCount(CountElements(value), dims);
  }
  if (shape) return *shape;
  return InvalidArgument(
      Concat("The schema can not convert input '", input.name, "' to tensor with proper shape"));
}

// Reads one document into one request.
class GenerateParser {
 public:
  GenerateParser(Request& request, Allocator& allocator)
      : request_(request), model_(request.model->definition()), allocator_(allocator) {}

  Status Parse(const JsonObject& document) {
    for (const auto& [name, value] : document) {
      Status status = ParseMember(name, value);
      if (!status.ok()) return status;
    }
    request_.parameters = std::move(parameters_.custom);
    return Ok();
  }

 private:
  Status ParseMember(std::string_view name, const JsonValue& value) {
    if (name == "id") return ParseId(value);
    if (name == "parameters") return ParseNested(value);
    return ParseKeyword(name, value);
  }

  Status ParseId(const JsonValue& value) {
    const Result<std::string_view> id = AsString("id", value);
    if (!id.ok()) return id.status();
    request_.id = *id;
    return Ok();
  }

  Status ParseNested(const JsonValue& value) {
    const Result<JsonObject> object = AsObject("parameters", value);
    if (!object.ok()) return object.status();
    for (const auto& [name, member] : *object) {
      const Status status = ParseKeyword(name, member);
      if (!status.ok()) return status.WithPrefix("Converting keyword: 'parameters': ");
    }
    return Ok();
  }

  Status ParseKeyword(std::string_view name, const JsonValue& value) {
    const std::optional<uint32_t> input = model_.FindInput(name);
    if (input) return ParseInput(*input, value);
    const auto& known = parameters_.custom;
    if (std::ranges::find(known, name, &Parameter::name) != known.end()) {
      return InvalidArgument(Concat("parameter '", name, "' is there twice"));
    }
    return ParseParameter(name, value, parameters_);
  }

  Status ParseInput(uint32_t index, const JsonValue& value) {
    const TensorDefinition& input = model_.inputs[index];
    std::optional<Tensor>& place = request_.inputs[index];
    if (place) {
      return InvalidArgument(Concat(RequestIdPrefix(request_.id), "input '", input.name,
                                    "' already exists in request"));
    }
    const Result<Shape> shape = ShapeOf(input, value, model_.batching_axis());
    if (!shape.ok()) return shape.status();
    Result<Slice> data = DecodeJsonTensor(input.name, value, input.datatype, *shape, allocator_);
    if (!data.ok()) return data.status();
    place = Tensor{.datatype = input.datatype, .shape = *shape, .data = *std::move(data)};
    return Ok();
  }

  Request& request_;
  const ModelDefinition& model_;
  Allocator& allocator_;
  InferParameters parameters_;
};

}  // namespace

Result<std::unique_ptr<Request>> ParseGenerate(ModelRef model, const Slice& body,
                                               Allocator& allocator) {
  auto request = std::make_unique<Request>(std::move(model));
  JsonParser json;
  const Result<JsonObject> document = json.Parse(body);
  if (!document.ok()) return document.status();
  Status status = GenerateParser(*request, allocator).Parse(*document);
  if (!status.ok()) return status;
  return request;
}

Result<Slice> EncodeGenerate(const Request& request, const Response& response,
                             Allocator& allocator) {
  const ModelDefinition& model = request.model->definition();
  TextBuffer text(allocator);
  text.Append('{');
  for (const OutputTensor& output : response.outputs) {
    const std::string& name = model.outputs[output.index].name;
    const bool one = ElementCount(output.tensor.shape) == 1;
    text.Append(Quoted(name), ':');
    Status status = one ? AppendJsonElements(name, output.tensor, text)
                        : AppendJsonTensor(name, output.tensor, text);
    if (!status.ok()) return status;
    text.Append(',');
  }
  if (!request.id.empty()) text.Append(R"("id":)", Quoted(request.id), ',');
  text.Append(R"("model_name":)", Quoted(model.name), R"(,"model_version":")", model.version, '"');
  for (const Parameter& parameter : response.parameters) {
    text.Append(',', Quoted(parameter.name), ':');
    Status status = AppendParameterValue(parameter, text);
    if (!status.ok()) return status;
  }
  text.Append('}');
  return text.Take();
}

}  // namespace despina::protocol
