// Calls that are answered later, by the control plane or when memory is no longer used.
#pragma once

#include <memory>

#include "grpc/call.h"
#include "grpc/methods.h"
#include "grpc/service.h"

namespace despina::grpc {

// Precondition: the method is kControl, whose operation has the method's name, or
// kSharedMemoryUnregister.
std::unique_ptr<CallHandler> MakeControlHandler(Service& service, const Method& method);

}  // namespace despina::grpc
