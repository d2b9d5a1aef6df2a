#include "http/shared_memory.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "protocol/json_text.h"
#include "protocol/json_value.h"
#include "protocol/shared_memory.h"

namespace despina::http {
namespace {

using protocol::Quoted;

Result<SharedRegion::Place> ParsePlace(std::string_view name, const Slice& body) {
  enum Member { kKey, kOffset, kSize };
  constexpr std::array<std::string_view, 3> kNames = {"key", "offset", "byte_size"};
  protocol::JsonParser parser;
  const Result<protocol::JsonObject> object = parser.Parse(body);
  if (!object.ok()) return object.status();
  std::array<std::optional<protocol::JsonValue>, kNames.size()> found;
  Status members = protocol::FindMembers(*object, kNames, found);
  if (!members.ok()) return members;
  for (const Member needed : {kKey, kSize}) {
    if (found[needed]) continue;
    return InvalidArgument(
        Concat("Shared memory register request has no '", kNames[needed], "' field"));
  }
  SharedRegion::Place place{.name = std::string(name), .key = {}, .offset = 0, .size = 0};
  const Result<std::string_view> key = protocol::AsString(kNames[kKey], *found[kKey]);
  if (!key.ok()) return key.status();
  place.key = *key;
  for (const auto& [member, number] :
       {std::pair(kOffset, &place.offset), std::pair(kSize, &place.size)}) {
    if (!found[member]) continue;
    const Result<uint64_t> value = protocol::AsUnsigned(kNames[member], *found[member]);
    if (!value.ok()) return value.status();
    *number = *value;
  }
  return place;
}

}  // namespace

Answer AnswerSharedMemory(const RouteMatch& match, const SharedRegions& regions) {
  const auto places = protocol::SystemRegions(regions, match.region);
  if (!places.ok()) return ErrorAnswer(places.status());
  std::string out;
  for (const SharedRegion::Place& place : *places) {
    out += Concat(out.empty() ? "" : ",", R"({"name":)", Quoted(place.name), R"(,"key":)",
                  Quoted(place.key), R"(,"offset":)", place.offset, R"(,"byte_size":)", place.size,
                  '}');
  }
  return JsonAnswer(Concat('[', out, ']'));
}

Answer RegisterSharedMemory(const RouteMatch& match, const Slice& body, SharedRegions& regions) {
  Result<SharedRegion::Place> place = ParsePlace(match.region, body);
  if (!place.ok()) return ErrorAnswer(place.status());
  const Status status = regions.Register(*std::move(place));
  if (!status.ok()) return ErrorAnswer(status);
  return JsonAnswer({});
}

}  // namespace despina::http
