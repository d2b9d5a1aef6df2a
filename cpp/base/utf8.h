// Whether a text is one that others can read.
#pragma once

#include <string_view>

namespace despina {

bool IsUtf8(std::string_view text);

}  // namespace despina
