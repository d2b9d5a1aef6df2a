// Protobuf messages of the shared memory extension. INVALID_ARGUMENT, with the name of the
// message, for what does not parse. Views in what is parsed are views of the message.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "memory/shared_regions.h"

namespace despina::protocol {

// SystemSharedMemoryStatusRequest, SystemSharedMemoryUnregisterRequest, and those of CUDA: the
// region's name; empty: all. Also of CudaSharedMemoryRegisterRequest, of which nothing else counts.
Result<std::string_view> ParseRegionName(std::string_view message_name, std::string_view message);

// SystemSharedMemoryRegisterRequest.
Result<SharedRegion::Place> ParseSystemRegion(std::string_view message);

// SystemSharedMemoryStatusResponse. That of CUDA is always empty, as are the answers to the others.
std::string SystemSharedMemoryStatusProto(std::span<const SharedRegion::Place> regions);

}  // namespace despina::protocol
