// Values of the engine as the C interface has them, and back.
#pragma once

#include <despina/abi.h>

#include <new>
#include <optional>
#include <string_view>

#include "base/status.h"
#include "engine/definition.h"
#include "engine/response.h"
#include "engine/tensor.h"

namespace despina::host {

inline despina_str ToAbi(std::string_view text) { return {text.data(), text.size()}; }
// Empty where the data is null.
inline std::string_view View(despina_str text) {
  return text.data != nullptr ? std::string_view(text.data, text.size) : std::string_view();
}

despina_datatype ToAbi(DataType datatype);
// Nothing for what no tensor of the protocol carries.
std::optional<DataType> FromAbi(despina_datatype datatype);

// A view of a tensor that is not BYTES; the shape is the tensor's own.
despina_tensor ToAbi(const Tensor& tensor);

inline constexpr despina_device kCpu = {DESPINA_DEVICE_CPU, 0};

// INVALID_ARGUMENT where there are too many axes, or fewer than none; `what` begins the text.
Result<Shape> ShapeOf(const int64_t* dims, int32_t ndim, std::string_view what);

despina_parameter ToAbi(const Parameter& parameter);
// INVALID_ARGUMENT for a type that there is not.
Result<Parameter> FromAbi(const despina_parameter& parameter);

// A code of a backend's; what is none becomes UNKNOWN.
Code CodeOf(despina_code code);
// Where there is no text, the status says so. That of an error need not have an end.
Status StatusOf(despina_code code, const despina_error& error);
Status StatusOf(despina_code code, despina_str message);
// Fills in the error, if there is one, and gives back the code.
despina_code Report(const Status& status, despina_error* error);

// Runs what gives a Status; the server's own exceptions end here.
template <class Function>
despina_code Guarded(despina_error* error, Function function) noexcept {
  try {
    return Report(function(), error);
  } catch (const std::bad_alloc&) {
    return Report({Code::kResourceExhausted, "out of memory"}, error);
  }
}

}  // namespace despina::host
