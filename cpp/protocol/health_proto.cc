#include "protocol/health_proto.h"

#include "protocol/proto_fields.h"
#include "protocol/protobuf.h"

namespace despina::protocol {

Result<std::string_view> ParseHealthCheck(std::string_view message) {
  constexpr uint32_t kService = 1;
  return ParsingProto("HealthCheckRequest", [&]() -> Result<std::string_view> {
    std::string_view service;
    for (ProtoReader reader(message); reader.Next();) {
      if (reader.field() == kService) {
        service = reader.String();
      } else {
        reader.Skip();
      }
    }
    return service;
  });
}

std::string HealthCheckProto(ServingStatus status) {
  std::string bytes;
  protozero::pbf_writer message(bytes);
  AddNumber(message, 1, static_cast<uint64_t>(status));
  return bytes;
}

}  // namespace despina::protocol
