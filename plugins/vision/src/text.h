// Small things with texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vision {

// Without white space around it.
std::string_view Trimmed(std::string_view text);
// What lies between the separators; of a text without one, the text.
std::vector<std::string_view> Split(std::string_view text, char separator);
// With ", " between.
std::string Joined(const std::vector<std::string>& texts);
// The one that was probably meant. Precondition: there is one.
std::string Nearest(std::string_view name, const std::vector<std::string>& names);

}  // namespace vision
