#include "protocol/infer_proto.h"

#include <algorithm>
#include <memory>
#include <memory_resource>
#include <string>
#include <utility>

#include "base/local_memory.h"
#include "base/text.h"
#include "engine/model.h"
#include "protocol/infer_binary.h"
#include "protocol/infer_contents.h"
#include "protocol/infer_proto_parameters.h"
#include "protocol/protobuf.h"

namespace despina::protocol {
namespace {

constexpr std::string_view kMessage = "ModelInferRequest";

struct InferRequestField {
  enum Number {
    kModelName = 1,
    kModelVersion,
    kId,
    kParameters,
    kInputs,
    kOutputs,
    kRawInputContents,
  };
};

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A message InferInputTensor.
struct InputTensor {
  std::string_view name;
  std::string_view datatype;
  // Without datatype and data.
  Tensor tensor;
  ProtoTensorParameters parameters;
  bool has_contents = false;
};

// Reads one message into one request. Its functions throw what ParsingProto() catches.
class InferProtoParser {
 public:
  InferProtoParser(InferRequest& out, const Slice& message, const SharedRegions& regions,
                   Allocator& allocator)
      : out_(out),
        model_(out.request->model->definition()),
        message_(message),
        regions_(regions),
        allocator_(allocator) {}

  Status Parse();

 private:
  // An input whose data is not in shared memory.
  struct Pending {
    uint32_t index = 0;
    // The message InferInputTensor.
    std::string_view message;
    bool has_contents = false;
  };

  Status ParseField(ProtoReader& reader);
  Status ParseInput(std::string_view message);
  Status ParseOutput(std::string_view message);
  void KeepRaw(std::string_view raw);
  Status FillInputs();
  Result<Slice> DataOf(const Pending& pending, size_t& raw_used);

  InferRequest& out_;
  const ModelDefinition& model_;
  const Slice& message_;
  const SharedRegions& regions_;
  Allocator& allocator_;
  InferParameters parameters_;
  // For some inputs.
  LocalMemory<512> memory_;
  std::pmr::vector<Pending> pending_{memory_.get()};
  // The first ones, so many as there can be inputs; and how many there are.
  std::pmr::vector<std::string_view> raw_{memory_.get()};
  size_t raw_count_ = 0;
};

Status ParseShape(std::string_view varints, std::string_view input, Shape& shape) {
  Status status;
  ForEachVarint(varints, [&](uint64_t varint) {
    const auto dim = static_cast<int64_t>(varint);
    if (!status.ok()) return;
    if (dim < 0) {
      status = InvalidArgument(
          Concat("dimension ", dim, " in the shape of input '", input, "' is negative"));
    } else if (!shape.Append(dim)) {
      status = InvalidArgument(
          Concat("input '", input, "' has more than ", Shape::kMaxRank, " dimensions"));
    }
  });
  return status;
}

Status ReadInputTensor(std::string_view message, InputTensor& input) {
  enum Field { kName = 1, kDataType, kShape, kTensorParameters, kContents };
  for (ProtoReader reader(message); reader.Next();) {
    switch (reader.field()) {
      case kName:
        input.name = reader.String();
        break;
      case kDataType:
        input.datatype = reader.String();
        break;
      case kShape: {
        Status status = ParseShape(reader.Varints(), input.name, input.tensor.shape);
        if (!status.ok()) return status;
        break;
      }
      case kTensorParameters:
        input.parameters.Add(ReadProtoParameter(reader.Bytes()));
        break;
      case kContents:
        reader.Skip();
        input.has_contents = true;
        break;
      default:
        reader.Skip();
    }
  }
  return Ok();
}

Status InferProtoParser::Parse() {
  for (ProtoReader reader(TextOf(message_.bytes())); reader.Next();) {
    if (Status status = ParseField(reader); !status.ok()) return status;
  }
  KeepLastOfEachName(parameters_.custom);
  out_.request->parameters = std::move(parameters_.custom);
  out_.enable_empty_final_response = parameters_.enable_empty_final_response;
  return FillInputs();
}

Status InferProtoParser::ParseField(ProtoReader& reader) {
  switch (reader.field()) {
    case InferRequestField::kId:
      out_.request->id = reader.String();
      return Ok();
    case InferRequestField::kParameters:
      return AddProtoParameter(ReadProtoParameter(reader.Bytes()), parameters_);
    case InferRequestField::kInputs:
      return ParseInput(reader.Bytes());
    case InferRequestField::kOutputs:
      return ParseOutput(reader.Bytes());
    case InferRequestField::kRawInputContents:
      KeepRaw(reader.Bytes());
      return Ok();
    default:
      reader.Skip();
      return Ok();
  }
}

Status InferProtoParser::ParseInput(std::string_view message) {
  InputTensor input;
  if (Status status = ReadInputTensor(message, input); !status.ok()) return status;
  const Result<uint32_t> index = NewInput(*out_.request, input.name);
  if (!index.ok()) return index.status();
  const Result<DataType> datatype = InputDataType(input.name, input.datatype);
  if (!datatype.ok()) return datatype.status();
  Result<SharedPlace> place = input.parameters.Place(input.name, regions_);
  if (!place.ok()) return place.status();
  input.tensor.datatype = *datatype;
  out_.request->inputs[*index] = std::move(input.tensor);
  if (!*place) {
    pending_.push_back({*index, message, input.has_contents});
    return Ok();
  }
  if (input.has_contents) {
    return InvalidArgument(
        Concat("unexpected 'content' provided when using shared memory for input tensor '",
               input.name, "' for model '", model_.name, "'"));
  }
  out_.shared_inputs.push_back({*index, *std::move(place)});
  return Ok();
}

Status InferProtoParser::ParseOutput(std::string_view message) {
  enum Field { kName = 1, kTensorParameters };
  std::string_view name;
  ProtoTensorParameters parameters;
  for (ProtoReader reader(message); reader.Next();) {
    switch (reader.field()) {
      case kName:
        name = reader.String();
        break;
      case kTensorParameters:
        parameters.Add(ReadProtoParameter(reader.Bytes()));
        break;
      default:
        reader.Skip();
    }
  }
  const Result<uint32_t> index = NewOutput(*out_.request, name);
  if (!index.ok()) return index.status();
  const Result<uint32_t> classes = parameters.Classification();
  if (!classes.ok()) return classes.status();
  Result<SharedPlace> place = parameters.Place(name, regions_);
  if (!place.ok()) return place.status();
  if (*place && *classes > 0) return NotInSharedMemory(name, "classification");
  out_.request->requested_outputs.push_back(*index);
  out_.preferences.listed.push_back(
      {.index = *index, .binary = true, .classification = *classes, .shared = *std::move(place)});
  return Ok();
}

void InferProtoParser::KeepRaw(std::string_view raw) {
  ++raw_count_;
  if (raw_.size() < model_.inputs.size()) raw_.push_back(raw);
}

Status InferProtoParser::FillInputs() {
  size_t raw_used = 0;
  for (const Pending& pending : pending_) {
    Result<Slice> data = DataOf(pending, raw_used);
    if (!data.ok()) return data.status();
    out_.request->inputs[pending.index]->data = *std::move(data);
  }
  if (raw_used == raw_count_) return Ok();
  return InvalidArgument(Concat("unexpected additional input data for model '", model_.name, "'"));
}

Result<Slice> InferProtoParser::DataOf(const Pending& pending, size_t& raw_used) {
  const TensorDefinition& input = model_.inputs[pending.index];
  const DataType datatype = out_.request->inputs[pending.index]->datatype;
  if (pending.has_contents) {
    if (raw_count_ == 0) {
      return DecodeContents(pending.message, datatype, input.name, model_.name, allocator_);
    }
    return InvalidArgument(
        Concat("contents field must not be specified when using raw_input_contents for '",
               input.name, "' for model '", model_.name, "'"));
  }
  if (raw_used == raw_.size()) {
    return InvalidArgument(Concat("unable to find data for input tensor '", input.name,
                                  "' for model '", model_.name, "' in request."));
  }
  const std::string_view raw = raw_[raw_used++];
  const auto offset = static_cast<size_t>(raw.data() - TextOf(message_.bytes()).data());
  return InputData(message_.Part(offset, raw.size()), datatype, allocator_);
}

}  // namespace

Result<InferTarget> PeekInferTarget(std::span<const std::byte> message) {
  return ParsingProto(kMessage, [&]() -> Result<InferTarget> {
    InferTarget target;
    for (ProtoReader reader(TextOf(message)); reader.Next();) {
      switch (reader.field()) {
        case InferRequestField::kModelName:
          target.model = reader.String();
          break;
        case InferRequestField::kModelVersion:
          target.version = reader.String();
          break;
        case InferRequestField::kId:
          target.id = reader.String();
          break;
        default:
          reader.Skip();
      }
    }
    return target;
  });
}

Result<InferRequest> ParseInferProto(ModelRef model, const Slice& message,
                                     const SharedRegions& regions, Allocator& allocator) {
  return ParsingProto(kMessage, [&]() -> Result<InferRequest> {
    InferRequest out;
    out.request = std::make_unique<Request>(std::move(model));
    Status status = InferProtoParser(out, message, regions, allocator).Parse();
    if (!status.ok()) return status;
    return out;
  });
}

std::optional<uint64_t> RawContentsOffset(std::span<const std::byte> beginning) {
  const auto find = [&]() -> Result<uint64_t> {
    const size_t size = beginning.size();
    for (ProtoReader reader(TextOf(beginning)); reader.Next(); reader.Skip()) {
      if (reader.field() == InferRequestField::kRawInputContents) {
        return size - reader.BehindLength();
      }
    }
    return NotFound("raw_input_contents");
  };
  const Result<uint64_t> offset = ParsingProto(kMessage, find);
  return offset.ok() ? std::optional(*offset) : std::nullopt;
}

}  // namespace despina::protocol
