// The names of content codings in the heads of requests.
#pragma once

#include <optional>
#include <string_view>

#include "frontend/compressor.h"

namespace despina::http {

using frontend::Coding;

// What a Content-Encoding says; nothing for a coding that is not supported, or for several.
std::optional<Coding> ParseContentEncoding(std::string_view value);

// The one of the codings listed in an Accept-Encoding that has the greatest weight, of several the
// first. What is not known, "*" among it, counts as not there, and so does a weight that is not
// above 0.
Coding PreferredCoding(std::string_view accept_encoding);

}  // namespace despina::http
