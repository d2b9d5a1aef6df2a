// Fields of requests' heads that backends see, as parameters.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/submit.h"
#include "frontend/field.h"

namespace re2 {
class RE2;
}

namespace despina::frontend {

// Any thread.
class HeaderForwarding {
 public:
  // Fields whose names hold what the regular expression (RE2) matches, in any case unless it says
  // "(?-i)". INVALID_ARGUMENT.
  static Result<std::shared_ptr<HeaderForwarding>> Make(const std::string& pattern);
  ~HeaderForwarding();

  // Adds those of `fields`, which are all that a request has, to the parameters of a request;
  // several of one name are one, their values separated by commas. INVALID_ARGUMENT for a name that
  // is reserved or given as a parameter too, and for a value that is no UTF-8.
  Status AddTo(std::vector<Parameter>& parameters, std::span<const Field> fields) const;

 private:
  explicit HeaderForwarding(const std::string& pattern);
  Status Add(std::vector<Parameter>& parameters, size_t given, const Field& field) const;

  const std::unique_ptr<re2::RE2> pattern_;
};

}  // namespace despina::frontend
