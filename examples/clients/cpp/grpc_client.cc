// One request over gRPC, and a stream to a model that answers in parts.
//
//   grpc_client [host:port]
//
// The models are `echo` and `repeat` of the README in the folder above.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "inference/service.grpc.pb.h"

namespace {

using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

// Tensors go as their bytes, little-endian, in the order of the inputs.
template <typename T>
void AddInput(ModelInferRequest& request, const std::string& name, const std::string& datatype,
              const std::vector<int64_t>& shape, const std::vector<T>& values) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(datatype);
  for (const int64_t dimension : shape) input.add_shape(dimension);
  request.add_raw_input_contents(values.data(), values.size() * sizeof(T));
}

template <typename T>
void PrintOutput(const ModelInferResponse& response, int output) {
  const std::string& bytes = response.raw_output_contents(output);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  std::cout << response.outputs(output).name() << ":";
  for (const T value : values) std::cout << ' ' << value;
  std::cout << '\n';
}

void SetTimeout(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
}

grpc::Status Infer(GRPCInferenceService::Stub& stub) {
  ModelInferRequest request;
  request.set_model_name("echo");
  AddInput<float>(request, "INPUT0", "FP32", {1, 4}, {1, 2.5, 4, -1});
  grpc::ClientContext context;
  SetTimeout(context);
  ModelInferResponse response;
  grpc::Status status = stub.ModelInfer(&context, request, &response);
  if (status.ok()) PrintOutput<float>(response, 0);
  return status;
}

grpc::Status Stream(GRPCInferenceService::Stub& stub) {
  ModelInferRequest request;
  request.set_model_name("repeat");
  AddInput<int32_t>(request, "IN", "INT32", {3}, {10, 20, 30});
  AddInput<uint32_t>(request, "DELAY", "UINT32", {3}, {100, 100, 100});
  AddInput<uint32_t>(request, "WAIT", "UINT32", {1}, {0});
  grpc::ClientContext context;
  SetTimeout(context);
  const auto stream = stub.ModelStreamInfer(&context);
  stream->Write(request);
  // There is no further request; the server ends the stream behind its last answer.
  stream->WritesDone();
  ModelStreamInferResponse part;
  while (stream->Read(&part)) {
    if (!part.error_message().empty()) {
      std::cerr << part.error_message() << '\n';
      context.TryCancel();
    } else if (part.infer_response().outputs_size() > 0) {
      PrintOutput<int32_t>(part.infer_response(), 0);
    }
  }
  return stream->Finish();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string address = argc > 1 ? argv[1] : "localhost:8001";
  // Without TLS. Tensors are large: answers may be too.
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  const auto stub = GRPCInferenceService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  for (const auto& call : {Infer, Stream}) {
    const grpc::Status status = call(*stub);
    if (!status.ok()) {
      std::cerr << status.error_code() << ": " << status.error_message() << '\n';
      return 1;
    }
  }
  return 0;
}
