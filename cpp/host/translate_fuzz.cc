// Datatypes, shapes, parameters and errors as backends write them.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/fuzzing.h"
#include "host/translate.h"

namespace despina::host {
namespace {

void CheckDatatype(FuzzedDataProvider& in) {
  const despina_datatype abi{in.ConsumeIntegral<uint8_t>(), in.ConsumeIntegral<uint8_t>(),
                             in.ConsumeIntegral<uint16_t>()};
  const std::optional<DataType> engine = FromAbi(abi);
  if (!engine) return;
  const despina_datatype back = ToAbi(*engine);
  Require(std::memcmp(&back, &abi, sizeof abi) == 0, "a datatype comes back");
  Require(*engine == DataType::kBytes || ElementSize(*engine) * 8 == abi.bits,
          "elements have as many bits as they say");
}

void CheckShape(FuzzedDataProvider& in) {
  std::vector<int64_t> dims(in.ConsumeIntegralInRange<size_t>(0, 20));
  for (int64_t& dim : dims) dim = in.ConsumeIntegral<int64_t>();
  // No more axes than there are, unless they are too many to be read.
  auto ndim = static_cast<int32_t>(dims.size());
  if (in.ConsumeBool()) ndim = in.ConsumeIntegral<int32_t>();
  if (ndim > static_cast<int32_t>(dims.size())) ndim = std::max(ndim, 17);
  const Result<Shape> shape = ShapeOf(dims.data(), ndim, "shape");
  Require(shape.ok() == (ndim >= 0 && ndim <= 16 && (ndim == 0 || !dims.empty())),
          "from 0 to 16 axes are possible");
  if (shape.ok()) {
    Require(std::ranges::equal(shape->dims(), std::span(dims).first(shape->rank())),
            "the axes are those that were given");
  }
}

void CheckParameter(FuzzedDataProvider& in) {
  const std::string name = in.ConsumeRandomLengthString(32);
  const std::string text = in.ConsumeRandomLengthString(32);
  despina_parameter abi{};
  abi.name = in.ConsumeBool() ? ToAbi(name) : despina_str{nullptr, in.ConsumeIntegral<size_t>()};
  abi.type = in.ConsumeBool() ? in.ConsumeIntegralInRange(0, 3) : in.ConsumeIntegral<int32_t>();
  if (abi.type == DESPINA_PARAMETER_TEXT) {
    abi.value.as_text =
        in.ConsumeBool() ? ToAbi(text) : despina_str{nullptr, in.ConsumeIntegral<size_t>()};
  } else {
    abi.value.as_int = in.ConsumeIntegral<int64_t>();
  }
  const Result<Parameter> parameter = FromAbi(abi);
  Require(parameter.ok() == (abi.type >= 0 && abi.type <= 3), "there are four types");
  if (!parameter.ok()) return;
  Require(parameter->name == View(abi.name), "a parameter keeps its name");
  const despina_parameter back = ToAbi(*parameter);
  Require(back.type == abi.type, "a parameter keeps its type");
  if (abi.type == DESPINA_PARAMETER_TEXT) {
    Require(View(back.value.as_text) == View(abi.value.as_text), "a text comes back");
  } else if (abi.type == DESPINA_PARAMETER_BOOL) {
    Require(back.value.as_bool == (abi.value.as_bool != 0 ? 1 : 0), "a truth comes back");
  } else {
    Require(back.value.as_int == abi.value.as_int, "a number comes back");
  }
}

void CheckError(FuzzedDataProvider& in) {
  const auto code = in.ConsumeBool() ? in.ConsumeIntegralInRange<despina_code>(0, 16)
                                     : in.ConsumeIntegral<despina_code>();
  // In memory of its own, perhaps without an end.
  const auto error = std::make_unique<despina_error>();
  const std::string message = in.ConsumeRandomLengthString(sizeof error->message);
  std::memcpy(error->message, message.data(), std::min(message.size(), sizeof error->message));
  const Status status = StatusOf(code, *error);
  Require(status.ok() == (code == DESPINA_OK), "what is no success is an error");
  Require(status.ok() == status.message().empty(), "an error has a text");
  Require(!CodeName(status.code()).empty(), "a code has a name");

  despina_error report{};
  Require(Report(status, &report) == static_cast<despina_code>(status.code()),
          "the code is given back");
  const std::string_view told(report.message, ::strnlen(report.message, sizeof report.message));
  Require(told.size() < sizeof report.message, "a text has an end");
  Require(told == status.message().substr(0, sizeof report.message - 1), "a text is told");
}

}  // namespace
}  // namespace despina::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  despina::host::CheckDatatype(in);
  despina::host::CheckShape(in);
  despina::host::CheckParameter(in);
  despina::host::CheckError(in);
  return 0;
}
