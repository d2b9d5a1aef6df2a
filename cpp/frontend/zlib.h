// Bytes as zlib has them.
#pragma once

#include <zlib.h>

#include <cstddef>
#include <span>

namespace despina::frontend::zlib {

// zlib counts with 32 bits.
inline constexpr size_t kMostAtOnce = size_t{1} << 30;

// zlib only reads; its type says otherwise.
inline Bytef* Input(std::span<const std::byte> bytes) {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
}
inline Bytef* Output(std::span<std::byte> bytes) { return reinterpret_cast<Bytef*>(bytes.data()); }

}  // namespace despina::frontend::zlib
