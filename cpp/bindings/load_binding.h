// Loads that are put on servers, and on models of this process.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
  // `kept`: where messages of answers are added; null: nowhere.
  explicit LoadRun(std::unique_ptr<load::Generator> generator,
                   std::shared_ptr<const std::string> kept = nullptr)
      : generator_(std::move(generator)), kept_(std::move(kept)) {}

  load::Generator& generator() { return *generator_; }
  // Once it has finished.
  std::string_view kept() const { return kept_ ? *kept_ : std::string_view(); }

 private:
  std::unique_ptr<load::Generator> generator_;
  std::shared_ptr<const std::string> kept_;
};

// Adds `LoadPlan`, `LoadRun` and what makes one over HTTP or gRPC.
void BindLoad(pybind11::module_& module);

}  // namespace despina::bindings
