// What HTTP and gRPC say alike of memory that clients lend the server.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "memory/shared_regions.h"

namespace despina::protocol {

inline constexpr std::string_view kSharedMemoryDisabled =
    "Client shared memory is disabled. Start the server with '--allow-client-shm=true' to enable.";

// The region of that name, or all with an empty one. NOT_FOUND.
Result<std::vector<SharedRegion::Place>> SystemRegions(const SharedRegions& regions,
                                                       std::string_view name);

// Of GPUs there is none: what asks about a region fails with NOT_FOUND, unless it asks about all;
// registering one with UNIMPLEMENTED.
Status CudaRegions(std::string_view name);
Status RegisterCudaRegion(std::string_view name);

}  // namespace despina::protocol
