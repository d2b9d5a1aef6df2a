// Texts as what comes from a socket, for tests.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace despina::load::testing {

inline std::span<const std::byte> BytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace despina::load::testing
