#include "protocol/infer_json.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "engine/model.h"
#include "protocol/infer_binary.h"
#include "protocol/infer_parameters.h"
#include "protocol/json_tensor.h"
#include "protocol/json_value.h"

namespace despina::protocol {
namespace {

Status SharedMemoryRefused(std::string_view tensor) {
  return {Code::kUnimplemented, Concat("shared memory is not supported, but asked for by '", tensor,
                                       "': send the data with the request and take it from the "
                                       "response")};
}

// Whether the parameters of an input or an output name a region, or anything of one.
bool NamesSharedMemory(const JsonObject& parameters) {
  return std::ranges::any_of(
      parameters, [](const auto& member) { return member.key.starts_with("shared_memory_"); });
}

// Where an input's data is said to be.
struct DataSource {
  std::optional<JsonValue> json;
  std::optional<uint64_t> binary_size;
};

// Reads one JSON part into one request.
class Parser {
 public:
  Parser(InferRequest& out, BinaryTensors binary, Allocator& allocator)
      : out_(out),
        model_(out.request->model->definition()),
        binary_(std::move(binary)),
        allocator_(allocator) {}

  Status Parse(const JsonObject& document);

 private:
  Status ParseInputs(const JsonValue& value);
  Status ParseInput(const JsonValue& value);
  Result<Slice> ParseData(std::string_view input, const DataSource& source, const Tensor& tensor);
  Status ParseOutputs(const JsonValue& value);
  Status ParseOutput(const JsonValue& value, std::vector<bool>& seen);

  InferRequest& out_;
  const ModelDefinition& model_;
  BinaryTensors binary_;
  Allocator& allocator_;
};

Result<DataType> ParseDataTypeOf(std::string_view input, const JsonValue& value) {
  const Result<std::string_view> name = AsString("datatype", value);
  if (!name.ok()) return name.status();
  if (const std::optional<DataType> datatype = ParseDataType(*name)) return *datatype;
  return InvalidArgument(Concat("invalid datatype for input ", input));
}

Result<Shape> ParseShapeOf(std::string_view input, const JsonValue& value) {
  const Result<JsonArray> dims = AsArray("shape", value);
  if (!dims.ok()) return dims.status();
  Shape shape;
  for (const JsonValue each : *dims) {
    const Result<uint64_t> dim = AsUnsigned("shape", each);
    if (!dim.ok()) return dim.status();
    if (!std::in_range<int64_t>(*dim)) {
      return BadMember("shape", Concat("dimension ", *dim, " of input '", input, "' is too large"));
    }
    if (!shape.Append(static_cast<int64_t>(*dim))) {
      return BadMember(
          "shape", Concat("input '", input, "' has more than ", Shape::kMaxRank, " dimensions"));
    }
  }
  if (!ElementCount(shape)) {
    return BadMember("shape", Concat("shape ", ToText(shape), " of input '", input,
                                     "' has more elements than can be counted"));
  }
  return shape;
}

Result<DataSource> ParseSourceOf(std::string_view input, const std::optional<JsonValue>& data,
                                 const std::optional<JsonValue>& parameters) {
  constexpr std::array<std::string_view, 1> kNames = {"binary_data_size"};
  constexpr std::string_view kRule =
      "Input must set only one of the following fields: 'data', 'binary_data_size' in "
      "'parameters', 'shared_memory_region' in 'parameters'. But ";
  DataSource source{.json = data, .binary_size = std::nullopt};
  if (parameters) {
    const Result<JsonObject> object = AsObject("parameters", *parameters);
    if (!object.ok()) return object.status();
    if (NamesSharedMemory(*object)) return SharedMemoryRefused(input);
    std::array<std::optional<JsonValue>, kNames.size()> found;
    if (Status status = FindMembers(*object, kNames, found); !status.ok()) return status;
    if (found[0]) {
      const Result<uint64_t> size = AsUnsigned(kNames[0], *found[0]);
      if (!size.ok()) return size.status();
      source.binary_size = *size;
    }
  }
  if (source.json && source.binary_size) {
    return InvalidArgument(Concat(kRule, "set 'data' 'binary_data_size' for input '", input, "'"));
  }
  if (!source.json && !source.binary_size) {
    return InvalidArgument(Concat(kRule, "no field is set for input '", input, "'"));
  }
  return source;
}

Status ParsePreferenceOf(std::string_view output, const JsonValue& parameters,
                         OutputPreference& preference) {
  enum Member { kBinary, kClassification };
  constexpr std::array<std::string_view, 2> kNames = {"binary_data", "classification"};
  const Result<JsonObject> object = AsObject("parameters", parameters);
  if (!object.ok()) return object.status();
  if (NamesSharedMemory(*object)) return SharedMemoryRefused(output);
  std::array<std::optional<JsonValue>, kNames.size()> found;
  if (Status status = FindMembers(*object, kNames, found); !status.ok()) return status;
  if (found[kBinary]) {
    const Result<bool> binary = AsBool(kNames[kBinary], *found[kBinary]);
    if (!binary.ok()) return binary.status();
    preference.binary = *binary;
  }
  if (found[kClassification]) {
    const Result<uint64_t> classes = AsUnsigned(kNames[kClassification], *found[kClassification]);
    if (!classes.ok()) return classes.status();
    // More than there are is the same as all.
    preference.classification =
        static_cast<uint32_t>(std::min<uint64_t>(*classes, std::numeric_limits<uint32_t>::max()));
  }
  return Ok();
}

Status Parser::Parse(const JsonObject& document) {
  enum Member { kId, kParameters, kInputs, kOutputs };
  constexpr std::array<std::string_view, 4> kNames = {"id", "parameters", "inputs", "outputs"};
  std::array<std::optional<JsonValue>, kNames.size()> found;
  if (Status status = FindMembers(document, kNames, found); !status.ok()) return status;
  if (found[kId]) {
    const Result<std::string_view> id = AsString(kNames[kId], *found[kId]);
    if (!id.ok()) return id.status();
    out_.request->id = *id;
  }
  if (found[kParameters]) {
    InferParameters parameters;
    Status status = ParseParameters(*found[kParameters], parameters);
    if (!status.ok()) return status;
    out_.request->parameters = std::move(parameters.custom);
    out_.preferences.binary_by_default = parameters.binary_data_output;
  }
  const Result<JsonValue> inputs = Required(kNames[kInputs], found[kInputs]);
  if (!inputs.ok()) return inputs.status();
  if (Status status = ParseInputs(*inputs); !status.ok()) return status;
  if (found[kOutputs]) {
    if (Status status = ParseOutputs(*found[kOutputs]); !status.ok()) return status;
  }
  return binary_.Finish();
}

Status Parser::ParseInputs(const JsonValue& value) {
  const Result<JsonArray> inputs = AsArray("inputs", value);
  if (!inputs.ok()) return inputs.status();
  for (const JsonValue input : *inputs) {
    if (Status status = ParseInput(input); !status.ok()) return status;
  }
  return Ok();
}

Status Parser::ParseInput(const JsonValue& value) {
  enum Member { kName, kDataType, kShape, kData, kParameters };
  constexpr std::array<std::string_view, 5> kNames = {"name", "datatype", "shape", "data",
                                                      "parameters"};
  const Result<JsonObject> object = AsObject("inputs", value);
  if (!object.ok()) return object.status();
  std::array<std::optional<JsonValue>, kNames.size()> found;
  if (Status status = FindMembers(*object, kNames, found); !status.ok()) return status;
  for (const Member required : {kName, kDataType, kShape}) {
    const Result<JsonValue> there = Required(kNames[required], found[required]);
    if (!there.ok()) return there.status();
  }
  const Result<std::string_view> name = AsString(kNames[kName], *found[kName]);
  if (!name.ok()) return name.status();
  const std::optional<uint32_t> index = model_.FindInput(*name);
  if (!index) {
    return InvalidArgument(
        Concat("unexpected inference input '", *name, "' for model '", model_.name, "'"));
  }
  std::optional<Tensor>& place = out_.request->inputs[*index];
  if (place) {
    return InvalidArgument(
        Concat(RequestIdPrefix(out_.request->id), "input '", *name, "' already exists in request"));
  }
  const Result<DataType> datatype = ParseDataTypeOf(*name, *found[kDataType]);
  if (!datatype.ok()) return datatype.status();
  const Result<Shape> shape = ParseShapeOf(*name, *found[kShape]);
  if (!shape.ok()) return shape.status();
  const Result<DataSource> source = ParseSourceOf(*name, found[kData], found[kParameters]);
  if (!source.ok()) return source.status();
  Tensor tensor{.datatype = *datatype, .shape = *shape, .data = {}};
  Result<Slice> data = ParseData(*name, *source, tensor);
  if (!data.ok()) return data.status();
  tensor.data = *std::move(data);
  place = std::move(tensor);
  return Ok();
}

Result<Slice> Parser::ParseData(std::string_view input, const DataSource& source,
                                const Tensor& tensor) {
  if (source.json) {
    const Status array = AsArray("data", *source.json).status();
    if (!array.ok()) return array;
    return DecodeJsonTensor(input, *source.json, tensor.datatype, tensor.shape, allocator_);
  }
  return binary_.Take(input, tensor.datatype, *source.binary_size, allocator_);
}

Status Parser::ParseOutputs(const JsonValue& value) {
  const Result<JsonArray> outputs = AsArray("outputs", value);
  if (!outputs.ok()) return outputs.status();
  std::vector<bool> seen(model_.outputs.size());
  for (const JsonValue output : *outputs) {
    if (Status status = ParseOutput(output, seen); !status.ok()) return status;
  }
  return Ok();
}

Status Parser::ParseOutput(const JsonValue& value, std::vector<bool>& seen) {
  enum Member { kName, kParameters };
  constexpr std::array<std::string_view, 2> kNames = {"name", "parameters"};
  const Result<JsonObject> object = AsObject("outputs", value);
  if (!object.ok()) return object.status();
  std::array<std::optional<JsonValue>, kNames.size()> found;
  if (Status status = FindMembers(*object, kNames, found); !status.ok()) return status;
  const Result<JsonValue> there = Required(kNames[kName], found[kName]);
  if (!there.ok()) return there.status();
  const Result<std::string_view> name = AsString(kNames[kName], *there);
  if (!name.ok()) return name.status();
  const std::optional<uint32_t> index = model_.FindOutput(*name);
  if (!index) {
    return InvalidArgument(
        Concat("unexpected inference output '", *name, "' for model '", model_.name, "'"));
  }
  if (seen[*index]) {
    return InvalidArgument(
        Concat("output '", *name, "' is requested more than once from model '", model_.name, "'"));
  }
  seen[*index] = true;
  OutputPreference preference{.index = *index};
  if (found[kParameters]) {
    Status status = ParsePreferenceOf(*name, *found[kParameters], preference);
    if (!status.ok()) return status;
  }
  out_.request->requested_outputs.push_back(*index);
  out_.preferences.listed.push_back(preference);
  return Ok();
}

}  // namespace

Result<InferRequest> ParseInfer(ModelRef model, const Slice& body,
                                std::optional<uint64_t> json_size, Allocator& allocator) {
  InferRequest out;
  out.request = std::make_unique<Request>(std::move(model));
  const ModelDefinition& definition = out.request->model->definition();
  const uint64_t header = json_size.value_or(body.size());
  if (header > body.size()) {
    return InvalidArgument(
        Concat("inference header size should be in range (0, ", body.size(), "), got: ", header));
  }
  if (header == 0) {
    Result<Tensor> input = RawInput(definition, body, allocator);
    if (!input.ok()) return input.status();
    out.request->inputs[0] = *std::move(input);
    out.preferences.binary_by_default = true;
    return out;
  }
  JsonParser json;
  const Result<JsonObject> document = json.Parse(body.Part(0, header));
  if (!document.ok()) return document.status();
  BinaryTensors binary(body.Part(header, body.size() - header), definition.name);
  Status status = Parser(out, std::move(binary), allocator).Parse(*document);
  if (!status.ok()) return status;
  return out;
}

}  // namespace despina::protocol
