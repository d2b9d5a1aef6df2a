#include "http/access_log.h"

#include <chrono>
#include <utility>

#include "base/log.h"

namespace despina::http {
namespace {

std::string MethodName(const Head& head) {
  switch (head.method) {
    case Method::kGet:
      return "GET";
    case Method::kPost:
      return "POST";
    case Method::kHead:
      return "HEAD";
    case Method::kOptions:
      return "OPTIONS";
    case Method::kOther:
      break;
  }
  return head.other_method;
}

}  // namespace

void AccessLog::Begin(TimePoint now) {
  begun_ = true;
  begun_at_ = now;
  request_id_.clear();
  status_ = 0;
  bytes_ = 0;
}

void AccessLog::End(const Head& head, TimePoint now) {
  if (!std::exchange(begun_, false)) return;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - begun_at_);
  log::Fields fields = {{"client", client_},
                        {"method", MethodName(head)},
                        {"path", head.path},
                        {"status", std::to_string(status_)},
                        {"bytes", std::to_string(bytes_)},
                        {"duration_us", std::to_string(took.count())}};
  if (!request_id_.empty()) fields.emplace_back("request_id", request_id_);
  log::Write(log::Level::kInfo, status_ == 0 ? "client gone" : "answered", "access", 0, fields);
}

}  // namespace despina::http
