#include "protocol/infer_request.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.h"
#include "engine/model.h"

namespace despina::protocol {

uint64_t InferRequest::shared_bytes() const {
  uint64_t bytes = 0;
  // No region is larger than what a file can be, and so no sum of them overflows.
  for (const SharedInput& input : shared_inputs) bytes += input.place.size;
  return bytes;
}

Status ReadSharedInputs(InferRequest& infer, Allocator& allocator) {
  for (const auto& [index, place] : infer.shared_inputs) {
    Result<Buffer> buffer = allocator.Allocate(place.size);
    if (!buffer.ok()) return buffer.status();
    Status status = place.region->Read(place.offset, buffer->writable());
    if (!status.ok()) return status;
    infer.request->inputs[index]->data = Slice(*std::move(buffer));
  }
  return Ok();
}

Result<uint32_t> NewInput(const Request& request, std::string_view name) {
  const ModelDefinition& model = request.model->definition();
  const std::optional<uint32_t> index = model.FindInput(name);
  if (!index) {
    return InvalidArgument(
        Concat("unexpected inference input '", name, "' for model '", model.name, "'"));
  }
  if (request.inputs[*index]) {
    return InvalidArgument(
        Concat(RequestIdPrefix(request.id), "input '", name, "' already exists in request"));
  }
  return *index;
}

Result<uint32_t> NewOutput(const Request& request, std::string_view name) {
  const ModelDefinition& model = request.model->definition();
  const std::optional<uint32_t> index = model.FindOutput(name);
  if (!index) {
    return InvalidArgument(
        Concat("unexpected inference output '", name, "' for model '", model.name, "'"));
  }
  if (std::ranges::find(request.requested_outputs, *index) != request.requested_outputs.end()) {
    return InvalidArgument(
        Concat("output '", name, "' is requested more than once from model '", model.name, "'"));
  }
  return *index;
}

Result<DataType> InputDataType(std::string_view input, std::string_view datatype) {
  if (const std::optional<DataType> found = ParseDataType(datatype)) return *found;
  return InvalidArgument(Concat("invalid datatype for input ", input));
}

Result<SharedPlace> FindPlace(const SharedRegions& regions, std::string_view region,
                              uint64_t offset, uint64_t size) {
  Result<std::shared_ptr<const SharedRegion>> found = regions.Find(region);
  if (!found.ok()) return found.status();
  Status within = (*found)->Check(offset, size);
  if (!within.ok()) return within;
  return SharedPlace{.region = *std::move(found), .offset = offset, .size = size};
}

Status NotInSharedMemory(std::string_view output, std::string_view asked) {
  return InvalidArgument(Concat("Output can't set both 'shared_memory_region' and '", asked,
                                "' for output '", output, "'"));
}

}  // namespace despina::protocol
