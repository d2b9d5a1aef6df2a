// Parts of the server that only those may use who know a secret.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http/field_filter.h"
#include "http/message.h"
#include "http/routes.h"

namespace despina::http {

// Made on one thread; what is const may be called on any.
class AccessRules {
 public:
  // From now on a request of the API needs the field `header` with this value. INVALID_ARGUMENT for
  // an API that is unknown or restricted already, and for a field that no request can have.
  Status Restrict(std::string_view api, const std::string& header, const std::string& value);

  // The fields that Denied() looks at.
  void AddTo(FieldFilter& filter) const;
  // The name of the field that a request of this API lacks, or has with another value; empty: it
  // may go on. How long this takes does not tell how much of the value is right.
  std::string_view Denied(Api api, const Head& head) const;

 private:
  // By API; without a name: it is not restricted.
  std::array<Field, kApiCount> required_;
};

}  // namespace despina::http
