// Building of texts from pieces.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace despina {

inline void AppendPiece(std::string& out, std::string_view piece) { out.append(piece); }
inline void AppendPiece(std::string& out, char piece) { out.push_back(piece); }
template <std::integral Integer>
void AppendPiece(std::string& out, Integer piece) {
  out.append(std::to_string(piece));
}

// One string of texts, characters and integers.
template <class... Pieces>
std::string Concat(const Pieces&... pieces) {
  std::string out;
  (AppendPiece(out, pieces), ...);
  return out;
}

}  // namespace despina
