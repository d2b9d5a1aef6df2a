#include "protocol/infer_proto_response.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory_resource>
#include <new>
#include <numeric>
#include <string>
#include <utility>
#include <variant>

#include "base/local_memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "engine/model.h"
#include "protocol/infer_outputs.h"
#include "protocol/protobuf_writer.h"

namespace despina::protocol {
namespace {

// What protobuf lets a message have.
constexpr size_t kMaxMessageSize = std::numeric_limits<int32_t>::max();

constexpr std::string_view kFinalResponse = "triton_final_response";

// Of a message ModelStreamInferResponse.
enum StreamField { kErrorMessage = 1, kInferResponse };
// Of a message ModelInferResponse.
struct InferResponseField {
  enum Number {
    kModelName = 1,
    kModelVersion,
    kId,
    kParameters,
    kOutputs,
    kRawOutputContents,
  };
};

// The sink that makes the pieces.
class MessageBytes {
 public:
  // `size`: as a ProtoCounter counted the text.
  explicit MessageBytes(size_t size) : text_(size), rest_(reinterpret_cast<char*>(text_.data())) {}

  void Varint(uint64_t value) {
    Wrote(static_cast<size_t>(protozero::add_varint_to_buffer(rest_, value)));
  }
  void Text(std::string_view text) {
    std::memcpy(rest_, text.data(), text.size());
    Wrote(text.size());
  }
  void Data(const Slice& data) {
    if (!data.empty()) pieces_.push_back({std::exchange(piece_bytes_, 0), data});
  }
  EncodedMessage Take() {
    if (piece_bytes_ > 0) pieces_.push_back({piece_bytes_});
    return {std::move(text_), std::move(pieces_)};
  }

 private:
  void Wrote(size_t bytes) {
    rest_ += bytes;
    piece_bytes_ += bytes;
  }

  RecycledVector<std::byte> text_;
  char* rest_;
  size_t piece_bytes_ = 0;
  RecycledVector<EncodedMessage::Piece> pieces_;
};

// An output as it is sent.
struct SentOutput {
  std::string_view name;
  const Tensor* tensor;
  bool in_shared_memory = false;
};

// Text from a backend may be anything, and a client would not take the message.
template <class Writer>
void WriteText(Writer& writer, uint32_t field, std::string_view text) {
  if (IsUtf8(text)) {
    writer.String(field, text);
  } else {
    writer.String(field, ToUtf8(text));
  }
}

template <class Writer>
void WriteParameter(Writer& writer, const Parameter& parameter) {
  enum Field { kKey = 1, kValue };
  enum Value { kBool = 1, kInt64, kString, kDouble };
  writer.Message(InferResponseField::kParameters, [&](auto& entry) {
    WriteText(entry, kKey, parameter.name);
    entry.Message(kValue, [&](auto& value) {
      if (const auto* const truth = std::get_if<bool>(&parameter.value)) {
        value.Varint(kBool, *truth ? 1 : 0);
      } else if (const auto* const integer = std::get_if<int64_t>(&parameter.value)) {
        value.Varint(kInt64, static_cast<uint64_t>(*integer));
      } else if (const auto* const number = std::get_if<double>(&parameter.value)) {
        value.Double(kDouble, *number);
      } else {
        WriteText(value, kString, std::get<std::string>(parameter.value));
      }
    });
  });
}

template <class Writer>
void WriteOutput(Writer& writer, const SentOutput& output) {
  enum Field { kName = 1, kDataType, kShape };
  writer.Message(InferResponseField::kOutputs, [&](auto& tensor) {
    tensor.String(kName, output.name);
    tensor.String(kDataType, DataTypeName(output.tensor->datatype));
    if (output.tensor->shape.rank() > 0) tensor.Packed(kShape, output.tensor->shape.dims());
  });
}

// Makes the message that `write` writes; it is called with a writer that counts, and then with one
// that writes the same.
template <class Write>
Result<EncodedMessage> Encode(const Write& write) {
  ProtoCounter counter;
  ProtoWriter<ProtoCounter> counting(counter);
  write(counting);
  if (counter.total() > kMaxMessageSize) {
    return Status(Code::kResourceExhausted,
                  Concat("a response of ", counter.total(), " bytes is too large for a message"));
  }
  try {
    MessageBytes bytes(counter.text());
    ProtoWriter<MessageBytes> writing(bytes);
    write(writing);
    return bytes.Take();
  } catch (const std::bad_alloc&) {
    return Status(Code::kResourceExhausted,
                  Concat("no memory for a response of ", counter.total(), " bytes"));
  }
}

}  // namespace

size_t EncodedMessage::size() const {
  return std::accumulate(
      pieces.begin(), pieces.end(), size_t{0},
      [](size_t sum, const Piece& piece) { return sum + piece.text_bytes + piece.data.size(); });
}

Result<EncodedMessage> EncodeInferProto(const Request& request, const Response& response,
                                        const OutputPreferences& preferences, InferForm form,
                                        bool final, Allocator& allocator) {
  const ModelDefinition& model = request.model->definition();
  LocalMemory<512> memory;
  // Keeps its place: only what is listed has classes.
  std::pmr::vector<Tensor> classes(memory.get());
  classes.reserve(preferences.listed.size());
  std::pmr::vector<SentOutput> outputs(memory.get());
  outputs.reserve(response.outputs.size());
  Status status = ForEachWantedOutput(
      model, response, preferences, allocator,
      [&](std::string_view name, const Tensor& tensor, const OutputPreference& preference) {
        const Tensor* sent = &tensor;
        if (preference.classification > 0) sent = &classes.emplace_back(tensor);
        outputs.push_back({name, sent, static_cast<bool>(preference.shared)});
        return Ok();
      });
  if (!status.ok()) return status;
  const std::string version = std::to_string(model.version);
  const Slice nothing;
  const auto write = [&](auto& writer) {
    writer.String(InferResponseField::kModelName, model.name);
    writer.String(InferResponseField::kModelVersion, version);
    if (!request.id.empty()) writer.String(InferResponseField::kId, request.id);
    for (const Parameter& parameter : response.parameters) WriteParameter(writer, parameter);
    if (form == InferForm::kStream) {
      WriteParameter(writer, {.name = std::string(kFinalResponse), .value = final});
    }
    for (const SentOutput& output : outputs) WriteOutput(writer, output);
    // One for each, so that clients find them by their index.
    for (const SentOutput& output : outputs) {
      writer.Data(InferResponseField::kRawOutputContents,
                  output.in_shared_memory ? nothing : output.tensor->data);
    }
  };
  if (form == InferForm::kUnary) return Encode(write);
  return Encode([&](auto& writer) { writer.Message(kInferResponse, write); });
}

Result<EncodedMessage> EncodeStreamError(std::string_view id, std::string_view message) {
  const auto write = [&](auto& writer) {
    WriteText(writer, kErrorMessage, message);
    writer.Message(kInferResponse, [&](auto& response) {
      if (!id.empty()) WriteText(response, InferResponseField::kId, id);
    });
  };
  return Encode(write);
}

}  // namespace despina::protocol
