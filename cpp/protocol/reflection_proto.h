// Messages of server reflection: which services a server has, and the files that declare them.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace despina::protocol {

// Files of declarations, found by their names and by what they declare. Any thread.
class Descriptors {
 public:
  // No files.
  Descriptors() = default;
  // Of a google.protobuf.FileDescriptorProto each. INVALID_ARGUMENT for what is malformed, and for
  // a file that imports one which is not among them.
  static Result<Descriptors> Make(std::span<const std::string> files);

  // The ServerReflectionResponse to a ServerReflectionRequest, of v1 or v1alpha: they have the same
  // messages. What is not found is told in the response; INVALID_ARGUMENT for what is malformed.
  Result<std::string> Answer(std::string_view request) const;

 private:
  using Places = std::map<std::string, size_t, std::less<>>;

  Status Add(std::string_view file);
  void AddService(const std::string& package, std::string_view service);
  void AddTypes(const std::string& package, std::string_view file);
  void AddSymbol(std::string name);
  // The file and all that it imports.
  Result<std::string> ResponseWith(size_t file) const;

  struct File {
    std::string name;
    std::string serialized;
    std::vector<std::string> imports{};
    // A FileDescriptorResponse.
    std::string response{};
  };
  std::vector<File> files_;
  Places by_name_;
  // Services, methods, messages and enumerations, with their packages.
  Places by_symbol_;
  // A ListServiceResponse.
  std::string services_;
};

}  // namespace despina::protocol
