// Inference from Python in the server's own process.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace despina::bindings {

struct InferArguments {
  std::string model;
  std::optional<int64_t> version;
  // Names to arrays.
  pybind11::dict inputs;
  std::optional<std::vector<std::string>> outputs;
  std::string request_id;
  std::optional<pybind11::dict> parameters;
  // Seconds.
  std::optional<double> timeout;
};

// Submits one request and waits for its answer, without the lock. Returns names to read-only
// arrays. Throws EngineError, and what a signal handler throws while it waits.
pybind11::dict Infer(Engine& engine, const InferArguments& arguments);

}  // namespace despina::bindings
