#include "grpc/methods.h"

#include <algorithm>
#include <array>

namespace despina::grpc {
namespace {

using frontend::Api;

constexpr bool kStream = false;

// The most frequent first.
constexpr std::array kMethods = {
    Method{Rpc::kModelInfer, Api::kInference, "/inference.GRPCInferenceService/ModelInfer"},
    Method{Rpc::kModelStreamInfer, Api::kInference,
           "/inference.GRPCInferenceService/ModelStreamInfer", kStream},
    Method{Rpc::kServerLive, Api::kHealth, "/inference.GRPCInferenceService/ServerLive"},
    Method{Rpc::kServerReady, Api::kHealth, "/inference.GRPCInferenceService/ServerReady"},
    Method{Rpc::kModelReady, Api::kHealth, "/inference.GRPCInferenceService/ModelReady"},
    Method{Rpc::kServerMetadata, Api::kMetadata, "/inference.GRPCInferenceService/ServerMetadata"},
    Method{Rpc::kModelMetadata, Api::kMetadata, "/inference.GRPCInferenceService/ModelMetadata"},
    Method{Rpc::kModelConfig, Api::kModelConfiguration,
           "/inference.GRPCInferenceService/ModelConfig"},
    Method{Rpc::kModelStatistics, Api::kStatistics,
           "/inference.GRPCInferenceService/ModelStatistics"},
    Method{Rpc::kRepositoryIndex, Api::kModelRepository,
           "/inference.GRPCInferenceService/RepositoryIndex"},
    Method{Rpc::kControl, Api::kModelRepository,
           "/inference.GRPCInferenceService/RepositoryModelLoad"},
    Method{Rpc::kControl, Api::kModelRepository,
           "/inference.GRPCInferenceService/RepositoryModelUnload"},
    Method{Rpc::kSharedMemoryStatus, Api::kSharedMemory,
           "/inference.GRPCInferenceService/SystemSharedMemoryStatus"},
    Method{Rpc::kSharedMemoryRegister, Api::kSharedMemory,
           "/inference.GRPCInferenceService/SystemSharedMemoryRegister"},
    Method{Rpc::kSharedMemoryUnregister, Api::kSharedMemory,
           "/inference.GRPCInferenceService/SystemSharedMemoryUnregister"},
    Method{Rpc::kCudaMemoryStatus, Api::kSharedMemory,
           "/inference.GRPCInferenceService/CudaSharedMemoryStatus"},
    Method{Rpc::kCudaMemoryRegister, Api::kSharedMemory,
           "/inference.GRPCInferenceService/CudaSharedMemoryRegister"},
    Method{Rpc::kCudaMemoryUnregister, Api::kSharedMemory,
           "/inference.GRPCInferenceService/CudaSharedMemoryUnregister"},
    Method{Rpc::kControl, Api::kTrace, "/inference.GRPCInferenceService/TraceSetting"},
    Method{Rpc::kControl, Api::kLogging, "/inference.GRPCInferenceService/LogSettings"},
    Method{Rpc::kHealthCheck, Api::kHealth, "/grpc.health.v1.Health/Check"},
    Method{Rpc::kHealthWatch, Api::kHealth, "/grpc.health.v1.Health/Watch"},
    Method{Rpc::kReflection, Api::kMetadata,
           "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", kStream},
    Method{Rpc::kReflection, Api::kMetadata,
           "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kStream},
};

}  // namespace

std::span<const Method> Methods() { return kMethods; }

const Method* FindMethod(std::string_view path) {
  const auto* const found = std::ranges::find(kMethods, path, &Method::path);
  return found == kMethods.end() ? nullptr : found;
}

}  // namespace despina::grpc
