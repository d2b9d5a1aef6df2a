#include "protocol/model_target.h"

#include <charconv>
#include <system_error>

#include "base/text.h"

namespace despina::protocol {

Result<std::optional<int64_t>> ParseModelVersion(std::string_view text) {
  if (text.empty()) return std::optional<int64_t>();
  int64_t version = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, version);
  if (error != std::errc() || parsed != end || text.front() == '-') {
    return InvalidArgument(Concat("failed to get model version from specified version string '",
                                  text, "', version should be an integral value > 0"));
  }
  return std::optional(version);
}

std::vector<int64_t> ListedVersions(const Snapshot& snapshot, std::string_view model,
                                    std::optional<int64_t> version) {
  if (version) return {*version};
  std::vector<int64_t> versions;
  for (const auto& each : snapshot.models.find(model)->second.versions) {
    versions.push_back(each.first);
  }
  return versions;
}

}  // namespace despina::protocol
