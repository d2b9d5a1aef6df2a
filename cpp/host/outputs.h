// Tensors that a backend gives, as tensors of the engine.
#pragma once

#include <despina/abi.h>

#include <string_view>

#include "base/status.h"
#include "engine/tensor.h"
#include "memory/allocator.h"

namespace despina::host {

// A tensor of the backend's that has not been taken over yet: Accept() does, and from then on its
// release is called when nobody reads it any more. Otherwise it stays the backend's.
class GivenTensor {
 public:
  // INVALID_ARGUMENT where it is no tensor of the protocol in the CPU's memory; UNIMPLEMENTED for
  // another device; RESOURCE_EXHAUSTED. BYTES are copied into their form on the wire.
  static Result<GivenTensor> Make(despina_tensor_owned& given, Allocator& allocator);

  const Tensor& tensor() const { return tensor_; }
  void Accept();

 private:
  class Given;

  GivenTensor(Tensor tensor, despina_tensor_owned& given, Given* block)
      : tensor_(std::move(tensor)), given_(&given), block_(block) {}

  Tensor tensor_;
  despina_tensor_owned* given_;
  // Null where the tensor was copied.
  Given* block_;
};

// Memory for an output. INVALID_ARGUMENT for BYTES and for shapes that no tensor has.
Result<Tensor> AllocateOutput(despina_datatype datatype, const int64_t* shape, int32_t ndim,
                              Allocator& allocator);

}  // namespace despina::host
