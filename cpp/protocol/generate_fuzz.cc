// Bodies of the generate extension: what is taken fits its model, and can be answered.
#include <simdjson.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/fuzzing.h"
#include "protocol/generate.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

TestModel& Model() {
  static auto* model = [] {
    ModelDefinition definition =
        DefinitionOf({TensorOf("A", DataType::kFp32, {-1}), TensorOf("B", DataType::kBytes, {1}),
                      TensorOf("C", DataType::kInt64, {-1, 2}), TensorOf("D", DataType::kBool, {})},
                     {}, 8);
    for (TensorDefinition& input : definition.inputs) input.optional = true;
    definition.outputs = definition.inputs;
    return std::make_unique<TestModel>(std::move(definition)).release();
  }();
  return *model;
}

void Check(std::string_view json) {
  Result<std::unique_ptr<Request>> request =
      ParseGenerate(Model().Enter(), BodyOf(json), TestPool());
  if (!request.ok()) {
    Require(request.status().code() == Code::kInvalidArgument, "a refusal is the client's");
    return;
  }
  if (!Model().Prepare(**request).ok()) return;
  Response response;
  for (uint32_t i = 0; i < (*request)->inputs.size(); ++i) {
    const auto& input = (*request)->inputs[i];
    if (input) response.outputs.push_back({i, *input});
  }
  response.parameters = (*request)->parameters;
  const Result<Slice> answer = EncodeGenerate(**request, response, TestPool());
  if (!answer.ok()) return;
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const std::string text = TextOf(*answer);
  Require(parser.parse(text).get(document) == simdjson::SUCCESS, "an answer is JSON");
}

}  // namespace
}  // namespace despina::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  despina::protocol::Check({reinterpret_cast<const char*>(data), size});
  return 0;
}
