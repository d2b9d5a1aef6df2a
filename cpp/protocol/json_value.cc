#include "protocol/json_value.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/text.h"
#include "protocol/json_integers.h"

namespace despina::protocol {
namespace {

// The largest document whose parser a thread keeps. A parser takes up to 14 bytes for each byte.
constexpr size_t kKeptCapacity = size_t{4} << 20;
constexpr size_t kFirstCapacity = size_t{16} << 10;

std::unique_ptr<simdjson::dom::parser>& KeptParser() {
  thread_local std::unique_ptr<simdjson::dom::parser> parser;
  return parser;
}

Status ParseError(simdjson::error_code error) {
  if (error == simdjson::MEMALLOC) {
    return {Code::kResourceExhausted, "no memory to parse the request JSON"};
  }
  return InvalidArgument(
      Concat("failed to parse the request JSON buffer: ", simdjson::error_message(error)));
}

}  // namespace

bool HasJsonPadding(const Slice& text) {
  const Buffer& buffer = text.buffer();
  if (!buffer) return false;
  const std::byte* const end = text.data() + text.size();
  const std::byte* const limit = buffer.data() + buffer.size();
  return end <= limit && static_cast<size_t>(limit - end) >= simdjson::SIMDJSON_PADDING;
}

JsonParser::JsonParser() : parser_(std::move(KeptParser())) {
  if (!parser_) parser_ = std::make_unique<simdjson::dom::parser>();
}

JsonParser::~JsonParser() {
  if (parser_->capacity() <= kKeptCapacity) KeptParser() = std::move(parser_);
}

simdjson::error_code JsonParser::Read(std::string_view text, bool padded, JsonValue& document) {
  // The parser copies even nothing, and copying from a null pointer is undefined.
  if (text.empty()) return simdjson::EMPTY;
  if (text.size() > parser_->capacity() || parser_->capacity() == 0) {
    // Sizes that grow little by little shall not allocate each time; large ones are not kept.
    const size_t capacity = text.size() <= kKeptCapacity
                                ? std::bit_ceil(std::max(kFirstCapacity, text.size()))
                                : text.size();
    if (const auto error = parser_->allocate(capacity, kMaxJsonDepth)) return error;
    if (const auto error = parser_->doc.allocate(capacity)) return error;
  }
  return parser_->parse(text.data(), text.size(), !padded).get(document);
}

Result<JsonObject> JsonParser::Parse(const Slice& text) {
  const std::string_view all(reinterpret_cast<const char*>(text.data()), text.size());
  JsonValue document;
  simdjson::error_code error = Read(all, HasJsonPadding(text), document);
  if (error == simdjson::NUMBER_ERROR) {
    if (const auto other = WithoutWideIntegers(all)) error = Read(*other, false, document);
  }
  if (error) return ParseError(error);
  JsonObject object;
  if (document.get(object)) {
    return InvalidArgument("failed to parse the request JSON buffer: it is not an object");
  }
  return object;
}

Status BadMember(std::string_view name, std::string_view what) {
  return InvalidArgument(Concat("Unable to parse '", name, "': ", what));
}

Result<std::string_view> AsString(std::string_view name, const JsonValue& value) {
  std::string_view out;
  if (value.get(out)) return BadMember(name, "attempt to access JSON non-string as string");
  return out;
}

Result<bool> AsBool(std::string_view name, const JsonValue& value) {
  bool out = false;
  if (value.get(out)) return BadMember(name, "attempt to access JSON non-boolean as boolean");
  return out;
}

Result<uint64_t> AsUnsigned(std::string_view name, const JsonValue& value) {
  uint64_t out = 0;
  if (value.get(out)) {
    return BadMember(name, "attempt to access JSON non-unsigned-integer as unsigned-integer");
  }
  return out;
}

Result<JsonArray> AsArray(std::string_view name, const JsonValue& value) {
  JsonArray out;
  if (value.get(out)) return BadMember(name, "attempt to access JSON non-array as array");
  return out;
}

Result<JsonObject> AsObject(std::string_view name, const JsonValue& value) {
  JsonObject out;
  if (value.get(out)) return BadMember(name, "attempt to access JSON non-object as object");
  return out;
}

Status FindMembers(const JsonObject& object, std::span<const std::string_view> names,
                   std::span<std::optional<JsonValue>> values) {
  for (const auto& [key, value] : object) {
    const auto found = std::ranges::find(names, key);
    if (found == names.end()) continue;
    std::optional<JsonValue>& place = values[static_cast<size_t>(found - names.begin())];
    if (place) return BadMember(key, "the member is there twice");
    place = value;
  }
  return Ok();
}

Result<JsonValue> Required(std::string_view name, const std::optional<JsonValue>& value) {
  if (value) return *value;
  return BadMember(name, Concat("attempt to access non-existing object member '", name, "'"));
}

}  // namespace despina::protocol
