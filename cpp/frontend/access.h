// Parts of the server that only those may use who know a secret.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "frontend/field.h"
#include "frontend/field_filter.h"

namespace despina::frontend {

// What operators can restrict, each as a whole.
enum class Api : uint8_t {
  kHealth,
  kMetadata,
  kInference,
  kSharedMemory,
  kModelConfiguration,
  kModelRepository,
  kStatistics,
  kTrace,
  kLogging,
  // The metrics port's own.
  kMetrics,
};
// Of those that can be restricted.
inline constexpr size_t kApiCount = static_cast<size_t>(Api::kMetrics);

// Made on one thread; what is const may be called on any.
class AccessRules {
 public:
  // From now on a request of the API needs the field `header` with this value. INVALID_ARGUMENT for
  // an API that is unknown or restricted already, and for a field that no request can have.
  Status Restrict(std::string_view api, const std::string& header, const std::string& value);

  // The fields that Denied() looks at.
  void AddTo(FieldFilter& filter) const;
  // The name of the field that a request with these fields lacks, or has with another value; empty:
  // it may go on. How long this takes does not tell how much of the value is right.
  std::string_view Denied(Api api, std::span<const Field> fields) const;

 private:
  // By API; without a name: it is not restricted.
  std::array<Field, kApiCount> required_;
};

}  // namespace despina::frontend
