// Bodies of inference requests, as JSON and with binary tensors: what is taken fits its model, and
// can be answered.
#include <simdjson.h>

#include <cstring>
#include <string>
#include <string_view>

#include "base/fuzzing.h"
#include "protocol/infer_response.h"
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

void CheckAnswer(const InferRequest& infer) {
  const Response response = Mirrored(*infer.request);
  const Result<EncodedResponse> encoded =
      EncodeInfer(*infer.request, response, infer.preferences, TestPool());
  if (!encoded.ok()) {
    Require(encoded.status().code() == Code::kInvalidArgument ||
                encoded.status().code() == Code::kInternal,
            "an answer fails for a reason");
    return;
  }
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const std::string json = TextOf(encoded->json);
  Require(parser.parse(json).get(document) == simdjson::SUCCESS, "an answer is JSON");
}

void Check(std::string_view bytes) {
  if (bytes.size() < 2) return;
  uint16_t json_size = 0;
  std::memcpy(&json_size, bytes.data(), sizeof json_size);
  bytes.remove_prefix(sizeof json_size);
  const bool binary = json_size <= bytes.size();
  const size_t header = binary ? json_size : bytes.size();
  const Slice body = BodyOf(bytes.substr(0, header), bytes.substr(header));
  Result<InferRequest> infer =
      ParseInfer(Model().Enter(), body, binary ? std::optional<uint64_t>(json_size) : std::nullopt,
                 NoRegions(), TestPool());
  if (infer.ok()) {
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
