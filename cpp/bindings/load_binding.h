// Loads that are put on servers, and on models of this process.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "load/generator.h"

namespace despina::bindings {

// What Python says of a load; times in seconds.
struct LoadPlan {
  load::Plan plan;
  size_t lanes = 1;
  size_t threads = 1;
};

// A load that runs.
class LoadRun {
 public:
  explicit LoadRun(std::unique_ptr<load::Generator> generator) : generator_(std::move(generator)) {}

  load::Generator& generator() { return *generator_; }

 private:
  std::unique_ptr<load::Generator> generator_;
};

// Adds `LoadPlan`, `LoadRun` and what makes one over HTTP.
void BindLoad(pybind11::module_& module);

}  // namespace despina::bindings
