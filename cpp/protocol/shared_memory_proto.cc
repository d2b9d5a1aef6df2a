#include "protocol/shared_memory_proto.h"

#include "protocol/proto_fields.h"
#include "protocol/protobuf.h"

namespace despina::protocol {
namespace {

using protozero::pbf_writer;

// Of RegionStatus and of SystemSharedMemoryRegisterRequest.
enum RegionField : uint8_t { kRegionName = 1, kKey = 2, kOffset = 3, kByteSize = 4 };

SharedRegion::Place ReadPlace(std::string_view message) {
  SharedRegion::Place place;
  for (ProtoReader reader(message); reader.Next();) {
    switch (reader.field()) {
      case kRegionName:
        place.name = reader.String();
        break;
      case kKey:
        place.key = reader.String();
        break;
      case kOffset:
        place.offset = reader.Uint64();
        break;
      case kByteSize:
        place.size = reader.Uint64();
        break;
      default:
        reader.Skip();
    }
  }
  return place;
}

}  // namespace

Result<std::string_view> ParseRegionName(std::string_view message_name, std::string_view message) {
  return ParsingProto(message_name, [&]() -> Result<std::string_view> {
    std::string_view name;
    for (ProtoReader reader(message); reader.Next();) {
      if (reader.field() == kRegionName) {
        name = reader.String();
      } else {
        reader.Skip();
      }
    }
    return name;
  });
}

Result<SharedRegion::Place> ParseSystemRegion(std::string_view message) {
  return ParsingProto("SystemSharedMemoryRegisterRequest", [&]() -> Result<SharedRegion::Place> {
    SharedRegion::Place place = ReadPlace(message);
    // All of them are meant by it elsewhere.
    if (place.name.empty()) return InvalidArgument("a shared memory region needs a name");
    return place;
  });
}

std::string SystemSharedMemoryStatusProto(std::span<const SharedRegion::Place> regions) {
  std::string bytes;
  pbf_writer message(bytes);
  for (const SharedRegion::Place& region : regions) {
    std::string value;
    pbf_writer status(value);
    AddText(status, kRegionName, region.name);
    AddText(status, kKey, region.key);
    AddNumber(status, kOffset, region.offset);
    AddNumber(status, kByteSize, region.size);
    AddMapEntry(message, 1, region.name, value);
  }
  return bytes;
}

}  // namespace despina::protocol
