// Inference requests as clients make them, whatever protocol brings them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "memory/allocator.h"
#include "memory/shared_regions.h"

namespace despina::protocol {

// Where in shared memory the data of a tensor is, or is to be.
struct SharedPlace {
  std::shared_ptr<const SharedRegion> region{};
  uint64_t offset = 0;
  uint64_t size = 0;

  explicit operator bool() const { return region != nullptr; }
};

// How a client wants to have one output that it listed.
struct OutputPreference {
  // In the outputs of the model's definition.
  uint32_t index = 0;
  bool binary = false;
  // The best so many classes in place of the tensor; 0: the tensor.
  uint32_t classification = 0;
  // Not in the response, but there.
  SharedPlace shared{};
};

struct OutputPreferences {
  // In the order asked; empty: all outputs, in the default form.
  std::vector<OutputPreference> listed;
  // The form of outputs that are not listed. A listed one that does not say `binary_data` is JSON
  // whatever stands here: that is what clients of the protocol are used to.
  bool binary_by_default = false;
};

// What a request said, without who asked: `completion` is not set.
struct InferRequest {
  // The data of an input: its index, and where it is.
  struct SharedInput {
    uint32_t index = 0;
    SharedPlace place;
  };

  std::unique_ptr<Request> request;
  OutputPreferences preferences;
  // Inputs that have no data until ReadSharedInputs() gives it to them.
  std::vector<SharedInput> shared_inputs;
  // Whether a decoupled model's last response is sent also when it holds nothing.
  bool enable_empty_final_response = false;

  // Bytes that these take together.
  uint64_t shared_bytes() const;
};

// Copies the data of inputs that lie in shared memory. INVALID_ARGUMENT where it is not there any
// more, RESOURCE_EXHAUSTED.
Status ReadSharedInputs(InferRequest& infer, Allocator& allocator);

// What is the same whatever protocol brings it, and refused in the same words.

// The index of an input or output that the model has and the request does not name so far.
// INVALID_ARGUMENT.
Result<uint32_t> NewInput(const Request& request, std::string_view name);
Result<uint32_t> NewOutput(const Request& request, std::string_view name);
// INVALID_ARGUMENT where there is no such datatype.
Result<DataType> InputDataType(std::string_view input, std::string_view datatype);
// Part of a region. NOT_FOUND, INVALID_ARGUMENT where it is not within it.
Result<SharedPlace> FindPlace(const SharedRegions& regions, std::string_view region,
                              uint64_t offset, uint64_t size);
// Of an output that is to lie in shared memory and cannot be what else was asked.
Status NotInSharedMemory(std::string_view output, std::string_view asked);

}  // namespace despina::protocol
