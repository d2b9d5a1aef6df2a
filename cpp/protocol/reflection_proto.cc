#include "protocol/reflection_proto.h"

#include <cstdint>
#include <protozero/pbf_writer.hpp>
#include <set>
#include <utility>

#include "base/text.h"
#include "protocol/proto_fields.h"
#include "protocol/protobuf.h"

namespace despina::protocol {
namespace {

// Of all messages of descriptor.proto that are looked at.
constexpr uint32_t kName = 1;

enum FileField : uint8_t {
  kPackage = 2,
  kImport = 3,
  kFileMessage = 4,
  kFileEnum = 5,
  kService = 6
};
enum MessageField : uint8_t { kNestedMessage = 3, kNestedEnum = 4 };
enum ServiceField : uint8_t { kMethod = 2 };

// Texts or messages of a field, as often as it is there.
std::vector<std::string_view> Fields(std::string_view message, uint32_t field) {
  std::vector<std::string_view> found;
  for (ProtoReader reader(message); reader.Next();) {
    if (reader.field() == field) {
      found.push_back(reader.Bytes());
    } else {
      reader.Skip();
    }
  }
  return found;
}

std::string Text(std::string_view message, uint32_t field) {
  const std::vector<std::string_view> found = Fields(message, field);
  return found.empty() ? std::string() : std::string(found.back());
}

std::string Within(const std::string& scope, std::string_view message) {
  const std::string name = Text(message, kName);
  return scope.empty() ? name : Concat(scope, ".", name);
}

enum ReflectionRequestField : uint8_t {
  kHost = 1,
  kFileByFilename = 3,
  kFileContainingSymbol = 4,
  kFileContainingExtension = 5,
  kAllExtensionNumbersOfType = 6,
  kListServices = 7,
};

enum ReflectionResponseField : uint8_t {
  kValidHost = 1,
  kOriginalRequest = 2,
  kFileDescriptorResponse = 4,
  kListServicesResponse = 6,
  kErrorResponse = 7,
};

struct Query {
  std::string_view host;
  // A ReflectionRequestField; 0: nothing is asked for.
  uint32_t kind = 0;
  std::string_view name;
};

Query ReadQuery(std::string_view request) {
  Query query;
  for (ProtoReader reader(request); reader.Next();) {
    if (reader.field() == kHost) {
      query.host = reader.String();
    } else if (reader.field() >= kFileByFilename && reader.field() <= kListServices) {
      query.kind = reader.field();
      query.name = query.kind == kFileContainingExtension ? reader.Bytes() : reader.String();
    } else {
      reader.Skip();
    }
  }
  return query;
}

std::string ErrorResponse(Code code, std::string_view text) {
  std::string bytes;
  protozero::pbf_writer error(bytes);
  AddNumber(error, 1, static_cast<uint64_t>(code));
  AddText(error, 2, text);
  return bytes;
}

}  // namespace

Result<Descriptors> Descriptors::Make(std::span<const std::string> files) {
  return ParsingProto("FileDescriptorProto", [&]() -> Result<Descriptors> {
    Descriptors made;
    for (const std::string& file : files) {
      if (Status status = made.Add(file); !status.ok()) return status;
    }
    for (size_t i = 0; i < files.size(); ++i) {
      Result<std::string> response = made.ResponseWith(i);
      if (!response.ok()) return response.status();
      made.files_[i].response = *std::move(response);
    }
    return made;
  });
}

Status Descriptors::Add(std::string_view file) {
  File added{.name = Text(file, kName), .serialized = std::string(file)};
  for (const std::string_view import : Fields(file, kImport)) added.imports.emplace_back(import);
  if (!by_name_.emplace(added.name, files_.size()).second) {
    return InvalidArgument(Concat("there are two files '", added.name, "'"));
  }
  files_.push_back(std::move(added));
  const std::string package = Text(file, kPackage);
  for (const std::string_view service : Fields(file, kService)) AddService(package, service);
  AddTypes(package, file);
  return Ok();
}

void Descriptors::AddService(const std::string& package, std::string_view service) {
  const std::string name = Within(package, service);
  AddSymbol(name);
  for (const std::string_view method : Fields(service, kMethod)) AddSymbol(Within(name, method));
  std::string listed;
  protozero::pbf_writer(listed).add_string(1, name);
  protozero::pbf_writer(services_).add_message(1, listed);
}

void Descriptors::AddTypes(const std::string& package, std::string_view file) {
  for (const std::string_view each : Fields(file, kFileEnum)) AddSymbol(Within(package, each));
  // By what each is within.
  std::vector<std::pair<std::string, std::string_view>> messages;
  for (const std::string_view each : Fields(file, kFileMessage))
    messages.emplace_back(package, each);
  while (!messages.empty()) {
    const auto [scope, message] = std::move(messages.back());
    messages.pop_back();
    const std::string name = Within(scope, message);
    AddSymbol(name);
    for (const std::string_view each : Fields(message, kNestedEnum)) AddSymbol(Within(name, each));
    for (const std::string_view each : Fields(message, kNestedMessage)) {
      messages.emplace_back(name, each);
    }
  }
}

void Descriptors::AddSymbol(std::string name) {
  by_symbol_.emplace(std::move(name), files_.size() - 1);
}

Result<std::string> Descriptors::ResponseWith(size_t file) const {
  std::string response;
  protozero::pbf_writer writer(response);
  std::set<size_t> seen{file};
  for (std::vector<size_t> left{file}; !left.empty();) {
    const File& next = files_[left.back()];
    left.pop_back();
    writer.add_bytes(1, next.serialized);
    for (const std::string& import : next.imports) {
      const auto found = by_name_.find(import);
      if (found == by_name_.end()) {
        return InvalidArgument(
            Concat("file '", next.name, "' imports '", import, "', which is not there"));
      }
      if (seen.insert(found->second).second) left.push_back(found->second);
    }
  }
  return response;
}

Result<std::string> Descriptors::Answer(std::string_view request) const {
  return ParsingProto("ServerReflectionRequest", [&]() -> Result<std::string> {
    const Query query = ReadQuery(request);
    std::string bytes;
    protozero::pbf_writer response(bytes);
    AddText(response, kValidHost, query.host);
    response.add_message(kOriginalRequest, request.data(), request.size());
    const auto add_error = [&](Code code, std::string_view text) {
      response.add_message(kErrorResponse, ErrorResponse(code, text));
    };
    const auto add_file = [&](const Places& places, std::string_view what) {
      const auto found = places.find(query.name);
      if (found != places.end()) {
        response.add_message(kFileDescriptorResponse, files_[found->second].response);
      } else {
        add_error(Code::kNotFound, Concat("there is no ", what, " '", query.name, "'"));
      }
    };
    switch (query.kind) {
      case kFileByFilename:
        add_file(by_name_, "file");
        break;
      case kFileContainingSymbol:
        add_file(by_symbol_, "symbol");
        break;
      case kFileContainingExtension:
      case kAllExtensionNumbersOfType:
        add_error(Code::kNotFound, "there are no extensions of messages");
        break;
      case kListServices:
        response.add_message(kListServicesResponse, services_);
        break;
      default:
        add_error(Code::kInvalidArgument, "nothing is asked for");
    }
    return bytes;
  });
}

}  // namespace despina::protocol
