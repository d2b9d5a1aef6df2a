// Front ends of an engine, as Python holds them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <variant>

#include "base/clock.h"
#include "grpc/server.h"
#include "http/server.h"

namespace despina::bindings {

// Python may hold one longer than the engine that made it: closing it is idempotent.
class FrontEnd {
 public:
  using Server = std::variant<std::unique_ptr<http::Server>, std::unique_ptr<grpc::Server>>;

  FrontEnd(Server server, Clock& clock) : server_(std::move(server)), clock_(clock) {}

  uint16_t port() const;
  void StopAccepting();
  // Waits so many seconds for answers in flight; false when any were left.
  bool Close(double timeout);

 private:
  std::mutex mutex_;
  const Server server_;
  Clock& clock_;
};

void BindFrontEnd(pybind11::module_& module);

}  // namespace despina::bindings
