// What browsers are told of pages that may use the server from elsewhere (CORS).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "frontend/field_filter.h"
#include "http/message.h"

namespace despina::http {

// Made on one thread; what is const may be called on any.
class Cors {
 public:
  // `origin` is "*", for all, or SCHEME://HOST[:PORT]. INVALID_ARGUMENT.
  Status Allow(std::string_view origin);

  // The fields of requests that the others look at.
  void AddTo(frontend::FieldFilter& filter) const;
  // Whether a browser asks what a page of an origin that is allowed may ask for. The answer is 204
  // without a body.
  bool IsPreflight(const Head& head) const;
  // The fields of the answer to a request, whatever it is. Each with its line end.
  void AppendFields(const Head& head, std::string& out) const;

 private:
  bool IsAllowed(const Field* origin) const;

  bool all_ = false;
  std::vector<std::string> origins_;
};

}  // namespace despina::http
