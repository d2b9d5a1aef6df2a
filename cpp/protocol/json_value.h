// Reading of JSON documents from outside: what is missing or of the wrong type is INVALID_ARGUMENT
// in the words that clients of the protocol know.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "memory/buffer.h"

namespace despina::protocol {

using JsonValue = simdjson::dom::element;
using JsonArray = simdjson::dom::array;
using JsonObject = simdjson::dom::object;

// Arrays and objects within each other; deeper documents are refused.
inline constexpr size_t kMaxJsonDepth = 100;

// Parses one document after the other. What it needs is lent by the thread and goes back to it,
// unless a large document has made it grow: clients shall not decide what threads hold.
class JsonParser {
 public:
  JsonParser();
  JsonParser(const JsonParser&) = delete;
  JsonParser& operator=(const JsonParser&) = delete;
  ~JsonParser();

  // The object that the document `text` is: good until the next call, and no longer than the
  // parser. INVALID_ARGUMENT when it is none; RESOURCE_EXHAUSTED when there is no memory.
  Result<JsonObject> Parse(const Slice& text);

 private:
  simdjson::error_code Read(std::string_view text, bool padded, JsonValue& document);

  std::unique_ptr<simdjson::dom::parser> parser_;
};

// Whether the buffer goes on behind `text` for as long as the parser reads ahead; otherwise the
// text is copied.
bool HasJsonPadding(const Slice& text);

// What is wrong with a member: "Unable to parse '<name>': <what>".
Status BadMember(std::string_view name, std::string_view what);

// Typed access to the value of a member.
Result<std::string_view> AsString(std::string_view name, const JsonValue& value);
Result<bool> AsBool(std::string_view name, const JsonValue& value);
Result<uint64_t> AsUnsigned(std::string_view name, const JsonValue& value);
Result<JsonArray> AsArray(std::string_view name, const JsonValue& value);
Result<JsonObject> AsObject(std::string_view name, const JsonValue& value);

// Finds the members of these names in one pass; others are passed over. INVALID_ARGUMENT when one
// is there twice. Precondition: `values` has as many places as `names`.
Status FindMembers(const JsonObject& object, std::span<const std::string_view> names,
                   std::span<std::optional<JsonValue>> values);

// The same for a member that must be there.
Result<JsonValue> Required(std::string_view name, const std::optional<JsonValue>& value);

}  // namespace despina::protocol
