// Writing of JSON texts.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/text.h"

namespace despina::protocol {

// The text as a JSON string, without the quotes: its size, and its characters. Returns the end of
// what it wrote.
size_t EscapedSize(std::string_view text);
char* WriteEscaped(std::string_view text, char* out);

// A piece for Concat(): the text as a JSON string. JSON is UTF-8; in a text that is not, every
// byte beyond ASCII becomes U+FFFD.
struct Quoted {
  explicit Quoted(std::string_view quoted) : text(quoted) {}
  std::string_view text;
};
void AppendPiece(std::string& out, Quoted piece);

// Most characters that WriteNumber writes: sign, digits, point and exponent, or an integer that is
// no longer than that, and ".0".
template <class Float>
inline constexpr size_t kMaxNumberSize = sizeof(Float) == sizeof(float) ? 17 : 26;

// The shortest text that reads back as the same number, with a decimal point or an exponent.
// `out` has room for kMaxNumberSize characters; returns the end. Precondition: `value` is finite.
char* WriteNumber(float value, char* out);
char* WriteNumber(double value, char* out);

// A piece for Concat(): a finite number.
struct Number {
  explicit Number(double number) : value(number) {}
  double value;
};
void AppendPiece(std::string& out, Number piece);

}  // namespace despina::protocol
