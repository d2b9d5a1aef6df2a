// The exception that the engine's Python interface throws.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>

#include "base/status.h"

namespace despina::bindings {

class EngineError : public std::runtime_error {
 public:
  explicit EngineError(const Status& status)
      : std::runtime_error(status.message()), code_(status.code()) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

inline void ThrowUnlessOk(const Status& status) {
  if (!status.ok()) throw EngineError(status);
}

// Adds the Python class `EngineError`, whose objects carry `code` and `message`.
void BindEngineError(pybind11::module_& module);

}  // namespace despina::bindings
