// How errors are told over HTTP.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace despina::protocol {

// The HTTP status of an answer: 200 for kOk.
int HttpStatus(Code code);

// {"error":"<message>"}
std::string ErrorJson(std::string_view message);

}  // namespace despina::protocol
