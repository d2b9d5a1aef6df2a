// From a datatype at run time to a type of C++.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/tensor.h"

namespace despina::protocol {

// Calls `function.template operator()<T>()` with the type of an element; nothing for datatypes
// whose elements are not numbers of C++: BOOL, FP16, BF16, BYTES.
template <class Function>
auto WithNumberType(DataType datatype, Function&& function)
    -> std::optional<decltype(function.template operator()<float>())> {
  switch (datatype) {
    case DataType::kUint8:
      return function.template operator()<uint8_t>();
    case DataType::kUint16:
      return function.template operator()<uint16_t>();
    case DataType::kUint32:
      return function.template operator()<uint32_t>();
    case DataType::kUint64:
      return function.template operator()<uint64_t>();
    case DataType::kInt8:
      return function.template operator()<int8_t>();
    case DataType::kInt16:
      return function.template operator()<int16_t>();
    case DataType::kInt32:
      return function.template operator()<int32_t>();
    case DataType::kInt64:
      return function.template operator()<int64_t>();
    case DataType::kFp32:
      return function.template operator()<float>();
    case DataType::kFp64:
      return function.template operator()<double>();
    case DataType::kBool:
    case DataType::kFp16:
    case DataType::kBf16:
    case DataType::kBytes:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace despina::protocol
