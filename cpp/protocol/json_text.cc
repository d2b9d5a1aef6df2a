#include "protocol/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/utf8.h"

namespace despina::protocol {
namespace {

constexpr uint8_t kLongEscape = 6;

// Characters that each byte becomes: itself, \n and its like, or \u001f.
constexpr std::array<uint8_t, 256> kEscapedSizes = [] {
  std::array<uint8_t, 256> sizes{};
  sizes.fill(1);
  for (size_t control = 0; control < 0x20; ++control) sizes[control] = kLongEscape;
  for (const char simple : {'"', '\\', '\b', '\f', '\n', '\r', '\t'}) {
    sizes[static_cast<uint8_t>(simple)] = 2;
  }
  return sizes;
}();

char ShortEscape(char control) {
  switch (control) {
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return control;
  }
}

template <class Float>
char* WriteShortest(Float value, char* out) {
  char* const end = std::to_chars(out, out + kMaxNumberSize<Float>, value).ptr;
  // Clients that tell integers from floats by their text shall see a float. Of most numbers the
  // value says sooner than the text that there is a decimal point.
  constexpr Float kSmall = 1e6;
  if (std::abs(value) < kSmall && static_cast<Float>(static_cast<int32_t>(value)) != value) {
    return end;
  }
  const bool integer = std::none_of(out, end, [](char each) { return each == '.' || each == 'e'; });
  if (!integer) return end;
  end[0] = '.';
  end[1] = '0';
  return end + 2;
}

// The digits of 0 to 999, as a number and as what stands behind a decimal point.
struct ThreeDigits {
  std::array<char, 4> text{};
  uint8_t size = 0;
};

constexpr std::array<ThreeDigits, 1000> kWholes = [] {
  std::array<ThreeDigits, 1000> all{};
  for (size_t i = 0; i < all.size(); ++i) {
    ThreeDigits& each = all[i];
    if (i >= 100) each.text[each.size++] = static_cast<char>('0' + i / 100);
    if (i >= 10) each.text[each.size++] = static_cast<char>('0' + i / 10 % 10);
    each.text[each.size++] = static_cast<char>('0' + i % 10);
  }
  return all;
}();

constexpr std::array<ThreeDigits, 1000> kFractions = [] {
  std::array<ThreeDigits, 1000> all{};
  for (size_t i = 0; i < all.size(); ++i) {
    ThreeDigits& each = all[i];
    each.text = {static_cast<char>('0' + i / 100), static_cast<char>('0' + i / 10 % 10),
                 static_cast<char>('0' + i % 10), '\0'};
    each.size = 3;
    while (each.size > 1 && each.text[each.size - 1U] == '0') --each.size;
  }
  return all;
}();

char* WriteDigits(const ThreeDigits& digits, char* out) {
  // All four, which is one move: what is too much is written over.
  std::memcpy(out, digits.text.data(), digits.text.size());
  return out + digits.size;
}

// What has no more than three digits on either side of the point, as most numbers that people
// write: several times faster than the search for the shortest text. Null for anything else. A
// float holds six decimal digits, so that no other text of as many reads back as the same number.
char* WriteShort(float value, char* out) {
  constexpr double kScale = 1000;
  const double scaled = static_cast<double>(std::abs(value)) * kScale;
  if (!(scaled < kScale * kScale - 1)) return nullptr;
  const auto thousandths = static_cast<uint32_t>(scaled + 0.5);
  if (static_cast<float>(thousandths / kScale) != std::abs(value)) return nullptr;
  if (std::signbit(value)) *out++ = '-';
  out = WriteDigits(kWholes[thousandths / 1000], out);
  *out++ = '.';
  return WriteDigits(kFractions[thousandths % 1000], out);
}

}  // namespace

size_t EscapedSize(std::string_view text) {
  size_t size = 0;
  for (const char each : text) size += kEscapedSizes[static_cast<uint8_t>(each)];
  return size;
}

char* WriteEscaped(std::string_view text, char* out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char each : text) {
    const auto byte = static_cast<uint8_t>(each);
    const uint8_t size = kEscapedSizes[byte];
    if (size == 1) {
      *out++ = each;
      continue;
    }
    *out++ = '\\';
    if (size == 2) {
      *out++ = ShortEscape(each);
      continue;
    }
    out = std::ranges::copy(std::string_view("u00"), out).out;
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 0xF];
  }
  return out;
}

void AppendPiece(std::string& out, Quoted piece) {
  if (!IsUtf8(piece.text)) {
    AppendPiece(out, Quoted(ToUtf8(piece.text)));
    return;
  }
  out += '"';
  const size_t before = out.size();
  out.resize(before + EscapedSize(piece.text));
  WriteEscaped(piece.text, out.data() + before);
  out += '"';
}

char* WriteNumber(float value, char* out) {
  if (char* const end = WriteShort(value, out)) return end;
  return WriteShortest(value, out);
}
char* WriteNumber(double value, char* out) { return WriteShortest(value, out); }

void AppendPiece(std::string& out, Number piece) {
  std::array<char, kMaxNumberSize<double>> text;
  char* const end = WriteNumber(piece.value, text.data());
  out.append(text.data(), end);
}

}  // namespace despina::protocol
