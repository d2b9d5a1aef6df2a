// Comparing texts, and building them from pieces.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace despina {

inline void AppendPiece(std::string& out, std::string_view piece) { out.append(piece); }
inline void AppendPiece(std::string& out, char piece) { out.push_back(piece); }
template <std::integral Integer>
void AppendPiece(std::string& out, Integer piece) {
  out.append(std::to_string(piece));
}

// Whether a text is the literal. Of a handful of them, one after the other, this is a comparison of
// lengths and of a word or two, where the operator is a call each.
template <size_t kSize>
bool Is(std::string_view text, const char (&literal)[kSize]) {
  return text.size() == kSize - 1 && std::memcmp(text.data(), literal, kSize - 1) == 0;
}

// One string of texts, characters and integers.
template <class... Pieces>
std::string Concat(const Pieces&... pieces) {
  std::string out;
  (AppendPiece(out, pieces), ...);
  return out;
}

}  // namespace despina
