// What can be called.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "frontend/access.h"

namespace despina::grpc {

enum class Rpc : uint8_t {
  kServerLive,
  kServerReady,
  kModelReady,
  kServerMetadata,
  kModelMetadata,
  kModelInfer,
  kModelStreamInfer,
  kModelConfig,
  kModelStatistics,
  kRepositoryIndex,
  kSharedMemoryStatus,
  kSharedMemoryRegister,
  kSharedMemoryUnregister,
  // Memory of GPUs, of which there is none.
  kCudaMemoryStatus,
  kCudaMemoryRegister,
  kCudaMemoryUnregister,
  // The control plane's: see ControlCall.
  kControl,
  kHealthCheck,
  kHealthWatch,
  kReflection,
};

struct Method {
  Rpc rpc;
  frontend::Api api;
  // "/package.Service/Name"
  std::string_view path;
  // The client sends one message; otherwise any number.
  bool one_message = true;

  std::string_view name() const { return path.substr(path.rfind('/') + 1); }
};

std::span<const Method> Methods();
// Null: there is no such method.
const Method* FindMethod(std::string_view path);

}  // namespace despina::grpc
