#include "protocol/shared_memory.h"

#include <utility>

#include "base/text.h"

namespace despina::protocol {

Result<std::vector<SharedRegion::Place>> SystemRegions(const SharedRegions& regions,
                                                       std::string_view name) {
  std::vector<SharedRegion::Place> places = regions.All();
  if (name.empty()) return places;
  std::erase_if(places, [name](const SharedRegion::Place& place) { return place.name != name; });
  if (places.empty()) {
    return NotFound(Concat("Unable to find system shared memory region: '", name, "'"));
  }
  return places;
}

Status CudaRegions(std::string_view name) {
  if (name.empty()) return Ok();
  return NotFound(Concat("Unable to find cuda shared memory region: '", name, "'"));
}

Status RegisterCudaRegion(std::string_view name) {
  return {Code::kUnimplemented,
          Concat("failed to register CUDA shared memory region: '", name, "', GPUs not supported")};
}

}  // namespace despina::protocol
