// Fields of requests' heads that backends see, as parameters.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/submit.h"
#include "http/message.h"

namespace re2 {
class RE2;
}

namespace despina::http {

// Any thread.
class HeaderForwarding {
 public:
  // Fields whose names hold what the regular expression (RE2) matches, in any case unless it says
  // "(?-i)". INVALID_ARGUMENT.
  static Result<std::shared_ptr<HeaderForwarding>> Make(const std::string& pattern);
  ~HeaderForwarding();

  // Adds the fields of `head`, which has all of them, to the parameters of a request; several of
  // one name are one, their values separated by commas. INVALID_ARGUMENT for a name that is
  // reserved or given as a parameter too, and for a value that is no UTF-8.
  Status AddTo(std::vector<Parameter>& parameters, const Head& head) const;

 private:
  explicit HeaderForwarding(const std::string& pattern);
  Status Add(std::vector<Parameter>& parameters, size_t given, const Field& field) const;

  const std::unique_ptr<re2::RE2> pattern_;
};

}  // namespace despina::http
