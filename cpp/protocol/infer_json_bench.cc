// What reading and writing of requests costs, for the sizes of the performance budget.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/text.h"
#include "protocol/infer_json.h"
#include "protocol/infer_response.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

std::string RandomFloats(size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::string out;
  for (size_t i = 0; i < count; ++i) out += BytesOf<float>({normal(random)});
  return out;
}

std::unique_ptr<Request> AnswerOf(TestModel& model, size_t count) {
  auto request = std::make_unique<Request>(model.Enter());
  request->response.outputs.push_back({.index = 0,
                                       .tensor = {.datatype = DataType::kFp32,
                                                  .shape = {static_cast<int64_t>(count)},
                                                  .data = SliceOf(RandomFloats(count))}});
  return request;
}

// A response's outputs have the form of a request's inputs.
Slice JsonBody(TestModel& model, size_t count) {
  const auto answer = AnswerOf(model, count);
  const EncodedResponse encoded = *EncodeInfer(*answer, answer->response, {}, TestPool());
  std::string json = TextOf(encoded.json);
  json.replace(json.find("outputs"), 7, "inputs");
  json.replace(json.find("OUT0"), 4, "IN0");
  return BodyOf(json);
}

Slice BinaryBody(size_t count, uint64_t& json_size) {
  const std::string data = RandomFloats(count);
  const std::string json = Concat(R"({"inputs":[{"name":"IN0","datatype":"FP32","shape":[)", count,
                                  R"(],"parameters":{"binary_data_size":)", data.size(), "}}]}");
  json_size = json.size();
  return BodyOf(json, data);
}

void ParseJson(benchmark::State& state) {
  TestModel model(TwoOf(DataType::kFp32));
  const Slice body = JsonBody(model, static_cast<size_t>(state.range(0)));
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(
        ParseInfer(model.Enter(), body, std::nullopt, NoRegions(), TestPool()));
  }
}
BENCHMARK(ParseJson)->Arg(16)->Arg(150528);

void ParseBinary(benchmark::State& state) {
  TestModel model(TwoOf(DataType::kFp32));
  uint64_t json_size = 0;
  const Slice body = BinaryBody(static_cast<size_t>(state.range(0)), json_size);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(ParseInfer(model.Enter(), body, json_size, NoRegions(), TestPool()));
  }
}
BENCHMARK(ParseBinary)->Arg(16)->Arg(150528);

void Encode(benchmark::State& state, bool binary) {
  TestModel model(TwoOf(DataType::kFp32));
  const auto request = AnswerOf(model, static_cast<size_t>(state.range(0)));
  const OutputPreferences preferences{.listed = {}, .binary_by_default = binary};
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(EncodeInfer(*request, request->response, preferences, TestPool()));
  }
}
BENCHMARK_CAPTURE(Encode, Json, false)->Arg(16)->Arg(150528);
BENCHMARK_CAPTURE(Encode, Binary, true)->Arg(16)->Arg(150528);

}  // namespace
}  // namespace despina::protocol
