// The exception that carries a code through C++. Header only, C++17.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "despina/abi.h"

namespace despina {

// What a backend throws on purpose: the client gets its code and its text. Whatever else leaves a
// backend becomes INTERNAL.
class Error : public std::runtime_error {
 public:
  Error(despina_code code, const std::string& message) : std::runtime_error(message), code_(code) {}
  despina_code code() const noexcept { return code_; }

 private:
  despina_code code_;
};

inline Error InvalidArgument(const std::string& message) {
  return {DESPINA_INVALID_ARGUMENT, message};
}

inline std::string_view View(despina_str text) {
  return text.data != nullptr ? std::string_view(text.data, text.size) : std::string_view();
}
inline despina_str Lend(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace despina
