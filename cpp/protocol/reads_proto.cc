#include "protocol/reads_proto.h"

#include <protozero/pbf_writer.hpp>

#include "protocol/metadata.h"
#include "protocol/model_target.h"
#include "protocol/protobuf.h"

namespace despina::protocol {
namespace {

ModelQuery ReadModelQuery(std::string_view message, std::string_view& version) {
  enum Field : uint8_t { kName = 1, kVersion = 2 };
  ModelQuery query;
  for (ProtoReader reader(message); reader.Next();) {
    switch (reader.field()) {
      case kName:
        query.model = reader.String();
        break;
      case kVersion:
        version = reader.String();
        break;
      default:
        reader.Skip();
    }
  }
  return query;
}

struct IndexQuery {
  std::string_view repository;
  bool only_ready = false;
};

IndexQuery ReadIndexQuery(std::string_view message) {
  enum Field : uint8_t { kRepositoryName = 1, kReady = 2 };
  IndexQuery query;
  for (ProtoReader reader(message); reader.Next();) {
    switch (reader.field()) {
      case kRepositoryName:
        query.repository = reader.String();
        break;
      case kReady:
        query.only_ready = reader.Bool();
        break;
      default:
        reader.Skip();
    }
  }
  return query;
}

}  // namespace

Status ParseEmptyProto(std::string_view message_name, std::string_view message) {
  return ParsingProto(message_name, [&]() -> Status {
    for (ProtoReader reader(message); reader.Next();) reader.Skip();
    return Ok();
  });
}

Result<ModelQuery> ParseModelQuery(std::string_view message_name, std::string_view message) {
  return ParsingProto(message_name, [&]() -> Result<ModelQuery> {
    std::string_view version;
    ModelQuery query = ReadModelQuery(message, version);
    const auto number = ParseModelVersion(version);
    if (!number.ok()) return number.status();
    query.version = *number;
    return query;
  });
}

Result<bool> ParseIndexQuery(std::string_view message) {
  return ParsingProto("RepositoryIndexRequest", [&]() -> Result<bool> {
    const IndexQuery query = ReadIndexQuery(message);
    if (query.repository.empty()) return query.only_ready;
    return Status(Code::kUnimplemented, std::string(kNoNamedRepositories));
  });
}

std::string YesOrNoProto(bool yes) {
  std::string bytes;
  if (yes) protozero::pbf_writer(bytes).add_bool(1, true);
  return bytes;
}

}  // namespace despina::protocol
