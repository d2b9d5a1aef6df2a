#include "text.h"

#include <algorithm>

namespace vision {

namespace {

// Characters that both have, in the same order.
size_t CommonLength(std::string_view a, std::string_view b) {
  std::vector<size_t> lengths(b.size() + 1, 0);  // with the beginnings of b
  for (const char c : a) {
    size_t diagonal = 0;
    for (size_t i = 0; i < b.size(); ++i) {
      const size_t above = lengths[i + 1];
      lengths[i + 1] = c == b[i] ? diagonal + 1 : std::max(above, lengths[i]);
      diagonal = above;
    }
  }
  return lengths.back();
}

double Likeness(std::string_view a, std::string_view b) {
  // Names are short: of a longer text the beginning tells enough.
  a = a.substr(0, 256);
  return static_cast<double>(2 * CommonLength(a, b)) / static_cast<double>(a.size() + b.size() + 1);
}

}  // namespace

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string_view::npos; begin = end + 1) {
    parts.push_back(text.substr(begin, end - begin));
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

std::string Nearest(std::string_view name, const std::vector<std::string>& names) {
  return *std::max_element(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return Likeness(name, a) < Likeness(name, b);
  });
}

}  // namespace vision
