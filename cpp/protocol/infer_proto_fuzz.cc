// Messages ModelInferRequest: what is taken fits its model, and can be answered by a message that
// can be read.
#include <string>
#include <string_view>

#include "base/fuzzing.h"
#include "protocol/infer_proto.h"
#include "protocol/infer_proto_response.h"
#include "protocol/protobuf.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

// An input and an output of each datatype, of any shape of one axis.
TestModel& Model() {
  static auto* model = [] {
    ModelDefinition definition;
    definition.name = "m";
    for (size_t i = 0; i < kDataTypes; ++i) {
      const auto datatype = static_cast<DataType>(i);
      TensorDefinition tensor = TensorOf(std::string(DataTypeName(datatype)), datatype, {-1});
      definition.outputs.push_back(tensor);
      tensor.optional = true;
      definition.inputs.push_back(tensor);
    }
    return std::make_unique<TestModel>(std::move(definition)).release();
  }();
  return *model;
}

// The inputs as outputs.
Response Mirrored(const Request& request) {
  Response response;
  for (uint32_t i = 0; i < request.inputs.size(); ++i) {
    if (request.inputs[i] && request.Wants(i)) response.outputs.push_back({i, *request.inputs[i]});
  }
  response.parameters = request.parameters;
  return response;
}

std::string Joined(const EncodedMessage& message) {
  std::string out;
  size_t place = 0;
  for (const auto& [text_bytes, data] : message.pieces) {
    Require(text_bytes <= message.text.size() - place, "pieces lie in the text");
    out += TextOf(std::span(message.text).subspan(place, text_bytes)) + TextOf(data);
    place += text_bytes;
  }
  Require(place == message.text.size(), "all of the text is sent");
  Require(out.size() == message.size(), "a message is as long as it says");
  return out;
}

void CheckAnswer(const InferRequest& infer) {
  const Response response = Mirrored(*infer.request);
  const Result<EncodedMessage> encoded = EncodeInferProto(
      *infer.request, response, infer.preferences, InferForm::kUnary, true, TestPool());
  if (!encoded.ok()) {
    Require(encoded.status().code() == Code::kInvalidArgument, "an answer fails for a reason");
    return;
  }
  const std::string message = Joined(*encoded);
  size_t outputs = 0;
  size_t tensors = 0;
  const Status status = ParsingProto("answer", [&] {
    for (ProtoReader reader(message); reader.Next(); reader.Skip()) {
      if (reader.field() == 5) ++outputs;
      if (reader.field() == 6) ++tensors;
    }
    return Ok();
  });
  Require(status.ok(), "an answer is a message");
  Require(outputs == response.outputs.size() && tensors == outputs, "all outputs are in it");
}

void CheckBeginnings(const Slice& message) {
  const auto whole = RawContentsOffset(message.bytes());
  Require(!whole || *whole <= message.size(), "raw data begins within its message");
  const auto half = RawContentsOffset(message.bytes().first(message.size() / 2));
  Require(!half || half == whole, "what was found early stays where it is");
}

void Check(std::string_view bytes) {
  const Slice message = SliceOf(bytes);
  CheckBeginnings(message);
  const Result<InferTarget> target = PeekInferTarget(message.bytes());
  Result<InferRequest> infer = ParseInferProto(Model().Enter(), message, NoRegions(), TestPool());
  if (infer.ok()) {
    // Without a target nobody parses; what comes of it must be no danger all the same.
    Require(!target.ok() || infer->request->id == target->id, "both readers agree");
    Require(infer->shared_inputs.empty(), "there are no regions");
    if (Model().Prepare(*infer->request).ok()) {
      for (const auto& input : infer->request->inputs) {
        Require(!input || input->datatype == DataType::kBytes ||
                    ByteSize(input->datatype, input->shape) == input->data.size(),
                "what was taken is as large as its shape says");
      }
      CheckAnswer(*infer);
    }
  } else {
    Require(!infer.status().message().empty(), "a refusal has a text");
  }
  infer = Status(Code::kUnknown, "done");
  Require(Model().gate().inside() == 0, "no request holds its model");
}

}  // namespace
}  // namespace despina::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  despina::protocol::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
