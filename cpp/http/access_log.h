// Lines of the log about requests that were answered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/message.h"

namespace despina::http {

// Of one connection. The loop's thread only.
class AccessLog {
 public:
  // Of a connection with this peer.
  explicit AccessLog(std::string client) : client_(std::move(client)) {}

  // A request begins to come.
  void Begin(TimePoint now);
  // What is learned of it, in any order.
  void SetRequestId(std::string_view id) { request_id_ = id; }
  void SetStatus(int status) { status_ = status; }
  void AddBytes(uint64_t sent) { bytes_ += sent; }
  // It is over: answered, or the client has gone. Writes nothing where none was begun.
  void End(const Head& head, TimePoint now);

 private:
  const std::string client_;
  bool begun_ = false;
  TimePoint begun_at_{};
  std::string request_id_;
  // 0: there was no answer.
  int status_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace despina::http
