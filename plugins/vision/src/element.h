// A number as an element of a tensor.
#pragma once

#include <cstdint>
#include <cstring>
#include <despina/tensor.hpp>

namespace vision {

template <class T>
T Element(float value);

template <>
inline float Element<float>(float value) {
  return value;
}

// Precondition: 0 to 255.
template <>
inline uint8_t Element<uint8_t>(float value) {
  const float raised = value + 0.5F;
  return static_cast<uint8_t>(static_cast<int>(raised));
}

// The nearest number of 16 bits, of two the even one; beyond the greatest, infinity.
template <>
inline despina::Half Element<despina::Half>(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7FFFFFFF;
  if (magnitude >= 0x47800000) {  // 2^16 and more, infinity, NaN
    const uint32_t nan = magnitude > 0x7F800000 ? 0x200 : 0;
    return {static_cast<uint16_t>(sign | 0x7C00 | nan)};
  }
  if (magnitude < 0x38800000) {  // below 2^-14: the addition rounds to multiples of 2^-24
    float small;
    std::memcpy(&small, &magnitude, sizeof small);
    small += 0.5F;
    std::memcpy(&magnitude, &small, sizeof magnitude);
    return {static_cast<uint16_t>(sign | (magnitude - 0x3F000000))};
  }
  // Another bias of the exponent, and 13 bits less.
  const uint32_t odd = magnitude >> 13 & 1;
  return {static_cast<uint16_t>(sign | (magnitude - 0x38000000 + 0xFFF + odd) >> 13)};
}

}  // namespace vision
