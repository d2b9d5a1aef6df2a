#include "protocol/infer_request.h"

#include <utility>

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

}  // namespace despina::protocol
