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

// Where an input's data is said to be.
struct DataSource {
  std::optional<JsonValue> json;
  std::optional<uint64_t> binary_size;
  SharedPlace shared;
};

// Reads one JSON part into one request.
class InferJsonParser {
 public:
  InferJsonParser(InferRequest& out, BinaryTensors binary, const SharedRegions& regions,
                  Allocator& allocator)
      : out_(out), binary_(std::move(binary)), regions_(regions), allocator_(allocator) {}

  Status Parse(const JsonObject& document);

 private:
  Status ParseInputs(const JsonValue& value);
  Status ParseInput(const JsonValue& value);
  Result<Slice> ParseData(std::string_view input, const DataSource& source, const Tensor& tensor);
  Status ParseOutputs(const JsonValue& value);
  Status ParseOutput(const JsonValue& value);

  InferRequest& out_;
  BinaryTensors binary_;
  const SharedRegions& regions_;
  Allocator& allocator_;
};

Result<DataType> ParseDataTypeOf(std::string_view input, const JsonValue& value) {
  const Result<std::string_view> name = AsString("datatype", value);
  if (!name.ok()) return name.status();
  return InputDataType(input, *name);
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

// The place that the members `shared_memory_...` of an object name; none where there is no region.
Result<SharedPlace> ParsePlace(const JsonObject& parameters, const SharedRegions& regions) {
  enum Member { kRegion, kOffset, kSize };
  constexpr std::array<std::string_view, 3> kNames = {
      "shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"};
  std::array<std::optional<JsonValue>, kNames.size()> found;
  if (Status status = FindMembers(parameters, kNames, found); !status.ok()) return status;
  if (!found[kRegion]) {
    for (const Member alone : {kOffset, kSize}) {
      if (found[alone]) return BadMember(kNames[alone], "there is no 'shared_memory_region'");
    }
    return SharedPlace();
  }
  const Result<std::string_view> name = AsString(kNames[kRegion], *found[kRegion]);
  if (!name.ok()) return name.status();
  Result<uint64_t> offset = uint64_t{0};
  if (found[kOffset]) offset = AsUnsigned(kNames[kOffset], *found[kOffset]);
  if (!offset.ok()) return offset.status();
  const Result<JsonValue> there = Required(kNames[kSize], found[kSize]);
  if (!there.ok()) return there.status();
  const Result<uint64_t> size = AsUnsigned(kNames[kSize], *there);
  if (!size.ok()) return size.status();
  return FindPlace(regions, *name, *offset, *size);
}

Result<DataSource> ParseSourceOf(std::string_view input, const std::optional<JsonValue>& data,
                                 const std::optional<JsonValue>& parameters,
                                 const SharedRegions& regions) {
  constexpr std::array<std::string_view, 1> kNames = {"binary_data_size"};
  DataSource source{.json = data, .binary_size = std::nullopt, .shared = {}};
  if (parameters) {
    const Result<JsonObject> object = AsObject("parameters", *parameters);
    if (!object.ok()) return object.status();
    std::array<std::optional<JsonValue>, kNames.size()> found;
    if (Status status = FindMembers(*object, kNames, found); !status.ok()) return status;
    if (found[0]) {
      const Result<uint64_t> size = AsUnsigned(kNames[0], *found[0]);
      if (!size.ok()) return size.status();
      source.binary_size = *size;
    }
    Result<SharedPlace> place = ParsePlace(*object, regions);
    if (!place.ok()) return place.status();
    source.shared = *std::move(place);
  }
  std::string set;
  if (source.json) set += " 'data'";
  if (source.binary_size) set += " 'binary_data_size'";
  if (source.shared) set += " 'shared_memory_region'";
  if (std::ranges::count(set, ' ') == 1) return source;
  return InvalidArgument(
      Concat("Input must set only one of the following fields: 'data', 'binary_data_size' in "
             "'parameters', 'shared_memory_region' in 'parameters'. But ",
             set.empty() ? "no field is set" : "set", set, " for input '", input, "'"));
}

Status ParsePreferenceOf(std::string_view output, const JsonValue& parameters,
                         const SharedRegions& regions, OutputPreference& preference) {
  enum Member { kBinary, kClassification };
  constexpr std::array<std::string_view, 2> kNames = {"binary_data", "classification"};
  const Result<JsonObject> object = AsObject("parameters", parameters);
  if (!object.ok()) return object.status();
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
  Result<SharedPlace> place = ParsePlace(*object, regions);
  if (!place.ok()) return place.status();
  preference.shared = *std::move(place);
  if (preference.shared && preference.classification > 0) {
    return NotInSharedMemory(output, kNames[kClassification]);
  }
  if (preference.shared && preference.binary) return NotInSharedMemory(output, kNames[kBinary]);
  return Ok();
}

Status InferJsonParser::Parse(const JsonObject& document) {
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

Status InferJsonParser::ParseInputs(const JsonValue& value) {
  const Result<JsonArray> inputs = AsArray("inputs", value);
  if (!inputs.ok()) return inputs.status();
  for (const JsonValue input : *inputs) {
    if (Status status = ParseInput(input); !status.ok()) return status;
  }
  return Ok();
}

Status InferJsonParser::ParseInput(const JsonValue& value) {
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
  const Result<uint32_t> index = NewInput(*out_.request, *name);
  if (!index.ok()) return index.status();
  const Result<DataType> datatype = ParseDataTypeOf(*name, *found[kDataType]);
  if (!datatype.ok()) return datatype.status();
  const Result<Shape> shape = ParseShapeOf(*name, *found[kShape]);
  if (!shape.ok()) return shape.status();
  const Result<DataSource> source =
      ParseSourceOf(*name, found[kData], found[kParameters], regions_);
  if (!source.ok()) return source.status();
  std::optional<Tensor>& place = out_.request->inputs[*index];
  place = Tensor{.datatype = *datatype, .shape = *shape, .data = {}};
  if (source->shared) {
    out_.shared_inputs.push_back({*index, source->shared});
    return Ok();
  }
  Result<Slice> data = ParseData(*name, *source, *place);
  if (!data.ok()) return data.status();
  place->data = *std::move(data);
  return Ok();
}

Result<Slice> InferJsonParser::ParseData(std::string_view input, const DataSource& source,
                                         const Tensor& tensor) {
  if (source.json) {
    const Status array = AsArray("data", *source.json).status();
    if (!array.ok()) return array;
    return DecodeJsonTensor(input, *source.json, tensor.datatype, tensor.shape, allocator_);
  }
  return binary_.Take(input, tensor.datatype, *source.binary_size, allocator_);
}

Status InferJsonParser::ParseOutputs(const JsonValue& value) {
  const Result<JsonArray> outputs = AsArray("outputs", value);
  if (!outputs.ok()) return outputs.status();
  for (const JsonValue output : *outputs) {
    if (Status status = ParseOutput(output); !status.ok()) return status;
  }
  return Ok();
}

Status InferJsonParser::ParseOutput(const JsonValue& value) {
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
  const Result<uint32_t> index = NewOutput(*out_.request, *name);
  if (!index.ok()) return index.status();
  OutputPreference preference{.index = *index};
  if (found[kParameters]) {
    Status status = ParsePreferenceOf(*name, *found[kParameters], regions_, preference);
    if (!status.ok()) return status;
  }
  out_.request->requested_outputs.push_back(*index);
  out_.preferences.listed.push_back(std::move(preference));
  return Ok();
}

}  // namespace

Result<InferRequest> ParseInfer(ModelRef model, const Slice& body,
                                std::optional<uint64_t> json_size, const SharedRegions& regions,
                                Allocator& allocator) {
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
  Status status = InferJsonParser(out, std::move(binary), regions, allocator).Parse(*document);
  if (!status.ok()) return status;
  return out;
}

}  // namespace despina::protocol
