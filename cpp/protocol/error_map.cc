#include "protocol/error_map.h"

#include "protocol/json_text.h"

namespace despina::protocol {

int HttpStatus(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInvalidArgument:
    case Code::kAlreadyExists:
    case Code::kFailedPrecondition:
      return 400;
    case Code::kNotFound:
      return 404;
    case Code::kInternal:
      return 500;
    case Code::kUnimplemented:
      return 501;
    // Both pass, and the protocol has no other status for a queue that was too long.
    case Code::kDeadlineExceeded:
    case Code::kResourceExhausted:
    case Code::kUnavailable:
      return 503;
  }
  return 500;
}

std::string ErrorJson(std::string_view message) {
  return Concat(R"({"error":)", Quoted(message), '}');
}

}  // namespace despina::protocol
