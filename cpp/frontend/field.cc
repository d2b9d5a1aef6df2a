#include "frontend/field.h"

#include <algorithm>

namespace despina::frontend {

bool IsSameName(std::string_view one, std::string_view other) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  return std::ranges::equal(one, other, {}, lower, lower);
}

}  // namespace despina::frontend
