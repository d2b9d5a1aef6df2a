// Whether a text is one that others can read.
#pragma once

#include <string>
#include <string_view>

namespace despina {

bool IsUtf8(std::string_view text);

// A text that others can read: where it is not UTF-8 every byte beyond ASCII becomes U+FFFD.
std::string ToUtf8(std::string_view text);

}  // namespace despina
