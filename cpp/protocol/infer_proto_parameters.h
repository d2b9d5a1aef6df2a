// Parameters in protobuf: entries of map<string, InferParameter> of requests, inputs and outputs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "memory/shared_regions.h"
#include "protocol/infer_parameters.h"
#include "protocol/infer_request.h"
#include "protocol/protobuf.h"

namespace despina::protocol {

// One entry, as views on its message.
struct ProtoParameter {
  std::string_view name;
  // Nothing where a value is of no kind that is known.
  std::variant<std::monostate, bool, int64_t, std::string_view, double, uint64_t> value;
};

// Within ParsingProto().
ProtoParameter ReadProtoParameter(std::string_view entry);

// Adds one parameter of a request. INVALID_ARGUMENT.
Status AddProtoParameter(const ProtoParameter& parameter, InferParameters& out);
// Of custom ones of the same name the last counts, as it does in a map of protobuf.
void KeepLastOfEachName(std::vector<Parameter>& parameters);

// Those parameters of an input or output that mean something; others are passed over.
class ProtoTensorParameters {
 public:
  // Not by default: that would set all of what most tensors have none of to zero.
  ProtoTensorParameters() {}

  void Add(const ProtoParameter& parameter);

  // Where the tensor is to be; nowhere without a region. `tensor` is for error texts, as below.
  // INVALID_ARGUMENT, NOT_FOUND for an unknown region.
  Result<SharedPlace> Place(std::string_view tensor, const SharedRegions& regions) const;
  // How many classes are wanted; 0: the tensor. INVALID_ARGUMENT.
  Result<uint32_t> Classification() const;

 private:
  enum Known { kRegion, kOffset, kSize, kClassification, kCount };

  std::optional<ProtoParameter> known_[kCount];
};

}  // namespace despina::protocol
