// What reading and writing of protobuf requests costs, for the sizes of the performance budget.
#include <benchmark/benchmark.h>

#include <memory>
#include <protozero/pbf_writer.hpp>
#include <string>

#include "protocol/infer_proto.h"
#include "protocol/infer_proto_response.h"
#include "protocol/test_support.h"

namespace despina::protocol {
namespace {

// A request with `count` floats, in its typed contents or raw.
Slice RequestOf(size_t count, bool typed) {
  const std::string data(count * sizeof(float), '\1');
  std::string message;
  protozero::pbf_writer writer(message);
  writer.add_string(1, "m");
  writer.add_string(3, "id");
  {
    protozero::pbf_writer input(writer, 5);
    input.add_string(1, "IN0");
    input.add_string(2, "FP32");
    const int64_t dim = static_cast<int64_t>(count);
    input.add_packed_int64(3, &dim, &dim + 1);
    if (typed) protozero::pbf_writer(input, 5).add_bytes(6, data);
  }
  if (!typed) writer.add_bytes(7, data);
  // Placed as the front end does it.
  const Slice first = BodyOf(message);
  const auto offset = RawContentsOffset(first.bytes());
  return offset ? BodyOf(message.substr(0, *offset), message.substr(*offset)) : first;
}

void ParseProto(benchmark::State& state, bool typed) {
  TestModel model(TwoOf(DataType::kFp32));
  const Slice message = RequestOf(static_cast<size_t>(state.range(0)), typed);
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(PeekInferTarget(message.bytes()));
    benchmark::DoNotOptimize(ParseInferProto(model.Enter(), message, NoRegions(), TestPool()));
  }
}
void ParseProtoRaw(benchmark::State& state) { ParseProto(state, false); }
BENCHMARK(ParseProtoRaw)->Arg(16)->Arg(150528);
void ParseProtoTyped(benchmark::State& state) { ParseProto(state, true); }
BENCHMARK(ParseProtoTyped)->Arg(16)->Arg(150528);

void EncodeProto(benchmark::State& state, InferForm form) {
  TestModel model(TwoOf(DataType::kFp32));
  const Request request(model.Enter());
  Response response;
  const auto count = static_cast<int64_t>(state.range(0));
  response.outputs = {{0, {DataType::kFp32, {count}, SliceOf(std::string(count * 4, '\1'))}}};
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(EncodeInferProto(request, response, {}, form, true, TestPool()));
  }
}
void EncodeProtoUnary(benchmark::State& state) { EncodeProto(state, InferForm::kUnary); }
BENCHMARK(EncodeProtoUnary)->Arg(16)->Arg(150528);
void EncodeProtoStream(benchmark::State& state) { EncodeProto(state, InferForm::kStream); }
BENCHMARK(EncodeProtoStream)->Arg(16)->Arg(150528);

}  // namespace
}  // namespace despina::protocol
