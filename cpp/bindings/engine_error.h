// The exception that the engine's Python interface throws.
#pragma once

#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "base/status.h"

namespace despina::bindings {

class EngineError : public std::runtime_error {
 public:
  explicit EngineError(const Status& status)
      : std::runtime_error(status.message()), status_(status) {}
  Code code() const { return status_.code(); }
  // The whole text, also where it holds a NUL.
  const std::string& message() const { return status_.message(); }

 private:
  Status status_;
};

inline void ThrowUnlessOk(const Status& status) {
  if (!status.ok()) throw EngineError(status);
}

// Adds the Python class `EngineError`, whose objects carry `code` and `message`.
void BindEngineError(pybind11::module_& module);

}  // namespace despina::bindings
