// Fields of requests' heads, whatever protocol brings them.
#pragma once

#include <string>
#include <string_view>

namespace despina::frontend {

struct Field {
  std::string name;
  std::string value;
};

// Whether two names of fields are the same but for the case of their letters.
bool IsSameName(std::string_view one, std::string_view other);

}  // namespace despina::frontend
