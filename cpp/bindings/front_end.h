// Front ends of an engine, as Python holds them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "base/clock.h"
#include "net/server.h"

namespace despina::bindings {

// Python may hold one longer than the engine that made it: closing it is idempotent.
class FrontEnd {
 public:
  FrontEnd(std::unique_ptr<net::Server> server, Clock& clock)
      : server_(std::move(server)), clock_(clock) {}

  uint16_t port() const { return server_->port(); }
  void StopAccepting();
  // Waits so many seconds for answers in flight; false when any were left.
  bool Close(double timeout);

 private:
  std::mutex mutex_;
  const std::unique_ptr<net::Server> server_;
  Clock& clock_;
};

void BindFrontEnd(pybind11::module_& module);

}  // namespace despina::bindings
