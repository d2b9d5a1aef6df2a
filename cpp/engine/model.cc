#include "engine/model.h"

#include <utility>

#include "base/text.h"

namespace despina {
namespace {

constexpr std::string_view kBatchNote =
    " NOTE: the model's max_batch_size is greater than 0, so the first dimension of each input "
    "is the batch size and is not part of the configured dims";

std::string Quoted(const std::string& name) { return "'" + name + "'"; }

std::string Names(const std::vector<TensorDefinition>& tensors, const Request& request, bool sent) {
  std::string out;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool there = request.inputs[i].has_value();
    if (there != sent || (!sent && tensors[i].optional)) continue;
    if (!out.empty()) out += ',';
    out += Quoted(tensors[i].name);
  }
  return out;
}

Status CheckElements(const TensorDefinition& definition, const std::string& model,
                     const Tensor& tensor, uint64_t expected) {
  const std::string where = Concat("inference input '", definition.name, "'");
  BytesReader reader(tensor.data.bytes());
  uint64_t count = 0;
  while (reader.Next()) ++count;
  if (reader.ok()) {
    if (count == expected) return Ok();
    if (count > expected) {
      return InvalidArgument(Concat("unexpected number of string elements ", count, " for ", where,
                                    " for model '", model, "', expecting ", expected));
    }
    return InvalidArgument(Concat("expected ", expected, " string elements for ", where,
                                  " for model '", model, "', got ", count));
  }
  if (reader.remaining() < sizeof(uint32_t)) {
    return InvalidArgument(Concat("incomplete string length indicator for ", where, " for model '",
                                  model, "', expecting 4 bytes but only ", reader.remaining(),
                                  " bytes available"));
  }
  uint32_t length = 0;
  std::memcpy(&length, tensor.data.data() + tensor.data.size() - reader.remaining(), sizeof length);
  return InvalidArgument(Concat("incomplete string data for ", where, " for model '", model,
                                "', expecting string of length ", length, " but only ",
                                reader.remaining() - sizeof length, " bytes available"));
}

Status CheckSize(const TensorDefinition& definition, const std::string& model,
                 const Tensor& tensor) {
  const std::optional<uint64_t> count = ElementCount(tensor.shape);
  if (!count) {
    return InvalidArgument(Concat("shape ", ToText(tensor.shape), " of input '", definition.name,
                                  "' for model '", model, "' has too many elements"));
  }
  if (tensor.datatype == DataType::kBytes) return CheckElements(definition, model, tensor, *count);
  const std::optional<uint64_t> bytes = ByteSize(tensor.datatype, tensor.shape);
  if (bytes && *bytes == tensor.data.size()) return Ok();
  return InvalidArgument(Concat("input byte size mismatch for input '", definition.name,
                                "' for model '", model, "'. Expected ",
                                bytes ? std::to_string(*bytes) : "more than memory holds", ", got ",
                                tensor.data.size()));
}

}  // namespace

// What requests do to their model stands here: a request knows of models only that they exist.

ModelRef::~ModelRef() {
  if (model_) model_->gate().Leave();
}

Request::Request(ModelRef to) : model(std::move(to)) {
  if (!model) return;
  inputs.resize(model->definition().inputs.size());
  // Here, on the thread that will free it: what malloc gave to an instance's thread is locked when
  // another gives it back.
  response.outputs.reserve(model->definition().outputs.size());
}

void Request::Cancel() {
  cancelled_ = true;
  model->Cancel(*this);
}

void Model::EndTrace(Request& request, TimePoint now) const {
  const RequestState& state = request.state;
  request.trace->End(definition_, request.response.status, request.response.outputs, state.arrival,
                     state.executed ? std::optional(state.times) : std::nullopt, now);
}

std::string RequestIdPrefix(const std::string& id) {
  return Concat("[request id: ", id.empty() ? "<id_unknown>" : id, "] ");
}

Model::Model(ModelDefinition definition, Clock& clock)
    : definition_(std::move(definition)), clock_(clock), statistics_(definition_.measuring) {}

Status Model::CheckInputNames(const Request& request) const {
  const auto& inputs = definition_.inputs;
  size_t required = 0;
  size_t sent = 0;
  bool missing = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].optional) ++required;
    if (request.inputs[i]) ++sent;
    missing = missing || (!inputs[i].optional && !request.inputs[i]);
  }
  if (!missing) return Ok();
  const std::string expected =
      required == inputs.size()
          ? Concat("expected ", inputs.size(), " inputs")
          : Concat("expected number of inputs between ", required, " and ", inputs.size());
  return InvalidArgument(Concat(expected, " but got ", sent, " inputs for model '",
                                definition_.name, "'. Got input(s) [", Names(inputs, request, true),
                                "], but missing required input(s) [", Names(inputs, request, false),
                                "]. Please provide all required input(s)."));
}

Status Model::PrepareInput(uint32_t index, Tensor& tensor, std::optional<int64_t>& rows) const {
  const TensorDefinition& definition = definition_.inputs[index];
  const bool batched = definition_.batching_axis();
  if (tensor.datatype != definition.datatype) {
    return InvalidArgument(Concat("inference input '", definition.name, "' data-type is '",
                                  DataTypeName(tensor.datatype), "', but model '", definition_.name,
                                  "' expects '", DataTypeName(definition.datatype), "'"));
  }
  if (batched && tensor.shape.rank() == 0) {
    return InvalidArgument(Concat("input '", definition.name,
                                  "' has no shape but model requires batch dimension for '",
                                  definition_.name, "'"));
  }
  if (!Fits(batched ? tensor.shape.WithoutFirst() : tensor.shape, definition.dims)) {
    const Shape expected = batched ? definition.dims.WithFirst(-1) : definition.dims;
    return InvalidArgument(Concat("unexpected shape for input '", definition.name, "' for model '",
                                  definition_.name, "'. Expected ", ToText(expected), ", got ",
                                  ToText(tensor.shape), '.', batched ? kBatchNote : ""));
  }
  if (batched) {
    if (rows && *rows != tensor.shape[0]) {
      return InvalidArgument(Concat("input '", definition.name,
                                    "' batch size does not match other inputs for '",
                                    definition_.name, "'"));
    }
    rows = tensor.shape[0];
    if (*rows < 1 || *rows > definition_.max_batch_size) {
      return InvalidArgument(Concat(
          "inference request batch-size must be ",
          *rows < 1 ? ">= 1" : "<= ", *rows < 1 ? "" : std::to_string(definition_.max_batch_size),
          " for '", definition_.name, "'"));
    }
  }
  if (Status size = CheckSize(definition, definition_.name, tensor); !size.ok()) return size;
  if (definition.reshape) {
    tensor.shape = Reshaped(tensor.shape, definition.dims, *definition.reshape, batched);
  }
  return Ok();
}

Status Model::Prepare(Request& request) const {
  if (Status names = CheckInputNames(request); !names.ok()) return names;
  std::optional<int64_t> rows;
  // Shapes are written back only once every input has passed.
  std::vector<std::pair<Tensor*, Shape>> reshaped;
  for (uint32_t i = 0; i < request.inputs.size(); ++i) {
    if (!request.inputs[i]) continue;
    Tensor& sent = *request.inputs[i];
    const Shape before = sent.shape;
    Status status = PrepareInput(i, sent, rows);
    if (!status.ok()) {
      for (auto& [tensor, shape] : reshaped) tensor->shape = shape;
      return status;
    }
    if (definition_.inputs[i].reshape) reshaped.emplace_back(&sent, before);
  }
  request.state.rows = static_cast<uint32_t>(rows.value_or(1));
  request.state.arrival = clock_.Now();
  if (request.trace) {
    request.trace->Begin(definition_, request.id, request.inputs, request.state.arrival);
  }
  return Ok();
}

void Model::Fail(std::unique_ptr<Request> request, Status status, FailureReason reason,
                 Turn& turn) {
  const TimePoint now = clock_.Now();
  statistics_.CountFailure(now - request->state.arrival, reason);
  request->response = {};
  request->response.status = std::move(status);
  if (request->trace) EndTrace(*request, now);
  Completion* completion = request->completion;
  completion->OnComplete(std::move(request), turn);
}

}  // namespace despina
