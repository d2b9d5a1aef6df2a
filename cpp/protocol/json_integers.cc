#include "protocol/json_integers.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

namespace despina::protocol {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kOfNumbers = "+-.eE0123456789";
constexpr size_t kNarrowDigits = 18;  // as many fit into 64 bits, whatever they are

template <class Integer>
bool IsBeyond(std::string_view number) {
  Integer value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  return read.ec == std::errc::result_out_of_range;
}

bool IsWideInteger(std::string_view number) {
  const bool negative = number.starts_with('-');
  const std::string_view digits = number.substr(negative ? 1 : 0);
  if (digits.size() <= kNarrowDigits ||
      digits.find_first_not_of(kDigits) != std::string_view::npos) {
    return false;
  }
  return negative ? IsBeyond<int64_t>(number) : IsBeyond<uint64_t>(number);
}

// Where the string that begins at `start` has ended.
size_t EndOfString(std::string_view text, size_t start) {
  size_t position = start + 1;
  while (position < text.size() && text[position] != '"') {
    position += text[position] == '\\' ? 2 : 1;
  }
  return std::min(position + 1, text.size());
}

}  // namespace

std::optional<std::string> WithoutWideIntegers(std::string_view text) {
  std::string out;
  size_t copied = 0;
  size_t position = 0;
  while ((position = text.find_first_of("\"-0123456789", position)) != std::string_view::npos) {
    if (text[position] == '"') {
      position = EndOfString(text, position);
      continue;
    }
    const size_t end = std::min(text.find_first_not_of(kOfNumbers, position), text.size());
    if (IsWideInteger(text.substr(position, end - position))) {
      out.append(text.substr(copied, end - copied)).append(".0");
      copied = end;
    }
    position = end;
  }
  if (copied == 0) return std::nullopt;
  return out.append(text.substr(copied));
}

}  // namespace despina::protocol
