// The graph of an ensemble.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "engine/definition.h"
#include "engine/request.h"

namespace despina {

// The steps of an ensemble and the tensors between them, worked out once.
struct EnsemblePlan {
  static constexpr size_t kNone = SIZE_MAX;

  struct Step {
    StepDefinition definition;
    // Pairs of the member's tensor and the place of the ensemble's in `tensors`.
    std::vector<std::pair<std::string, size_t>> inputs;
    std::vector<std::pair<std::string, size_t>> outputs;
  };
  struct TensorPlan {
    std::string name;
    // The step that makes it; kNone: an input of the ensemble.
    size_t producer = kNone;
    // Steps that take it.
    std::vector<size_t> consumers;
  };

  std::vector<Step> steps;
  // The ensemble's inputs come first, in the order of its definition.
  std::vector<TensorPlan> tensors;
  // By index of the ensemble's outputs.
  std::vector<size_t> outputs;

  // INVALID_ARGUMENT for a tensor that nothing or that two things produce, and for cycles.
  static Result<EnsemblePlan> Make(const ModelDefinition& definition);

  // Which steps the outputs asked for depend on.
  std::vector<bool> StepsFor(const Request& request) const;
};

}  // namespace despina
