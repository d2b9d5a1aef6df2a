// Calls that only ask how things are: answered from the snapshot, on the loop's thread.
#pragma once

#include <memory>

#include "grpc/call.h"
#include "grpc/methods.h"
#include "grpc/service.h"

namespace despina::grpc {

// Precondition: the method is one that only asks, or kSharedMemoryRegister.
std::unique_ptr<CallHandler> MakeReadHandler(Service& service, const Method& method);

}  // namespace despina::grpc
