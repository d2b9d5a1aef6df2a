#include "engine/ensemble_plan.h"

#include <algorithm>
#include <deque>
#include <string_view>
#include <unordered_map>

#include "base/text.h"

namespace despina {
namespace {

class PlanBuilder {
 public:
  explicit PlanBuilder(const ModelDefinition& definition) : definition_(definition) {}

  Result<EnsemblePlan> Build() {
    for (const TensorDefinition& input : definition_.inputs) TensorAt(input.name);
    for (const StepDefinition& step : definition_.steps) {
      if (Status added = AddStep(step); !added.ok()) return added;
    }
    for (const TensorDefinition& output : definition_.outputs) {
      plan_.outputs.push_back(TensorAt(output.name));
    }
    if (Status produced = CheckProducers(); !produced.ok()) return produced;
    if (Status ordered = CheckCycles(); !ordered.ok()) return ordered;
    return std::move(plan_);
  }

 private:
  Status Wrong(std::string_view what) const {
    return InvalidArgument(Concat("ensemble '", definition_.name, "': ", what));
  }

  size_t TensorAt(const std::string& name) {
    const auto [found, added] = places_.try_emplace(name, plan_.tensors.size());
    if (added) plan_.tensors.push_back({.name = name, .producer = kNone, .consumers = {}});
    return found->second;
  }

  bool IsEnsembleInput(size_t place) const { return place < definition_.inputs.size(); }

  Status AddStep(const StepDefinition& definition) {
    const size_t index = plan_.steps.size();
    EnsemblePlan::Step step{.definition = definition, .inputs = {}, .outputs = {}};
    for (const auto& [member, name] : definition.inputs) {
      const size_t place = TensorAt(name);
      step.inputs.emplace_back(member, place);
      auto& consumers = plan_.tensors[place].consumers;
      if (std::ranges::find(consumers, index) == consumers.end()) consumers.push_back(index);
    }
    for (const auto& [member, name] : definition.outputs) {
      const size_t place = TensorAt(name);
      step.outputs.emplace_back(member, place);
      if (IsEnsembleInput(place) || plan_.tensors[place].producer != kNone) {
        return Wrong(Concat("tensor '", name, "' is produced twice, the second time by step ",
                            index, " (model '", definition.model, "')"));
      }
      plan_.tensors[place].producer = index;
    }
    plan_.steps.push_back(std::move(step));
    return Ok();
  }

  Status CheckProducers() const {
    for (size_t place = definition_.inputs.size(); place < plan_.tensors.size(); ++place) {
      if (plan_.tensors[place].producer == kNone) {
        return Wrong(Concat("nothing produces tensor '", plan_.tensors[place].name, "'"));
      }
    }
    return Ok();
  }

  // Takes away, again and again, the steps whose inputs are all there. What is left is a cycle.
  Status CheckCycles() const {
    std::vector<size_t> missing(plan_.steps.size(), 0);
    std::deque<size_t> ready;
    for (const auto& tensor : plan_.tensors) {
      if (tensor.producer == kNone) continue;
      for (const size_t consumer : tensor.consumers) ++missing[consumer];
    }
    for (size_t i = 0; i < missing.size(); ++i) {
      if (missing[i] == 0) ready.push_back(i);
    }
    size_t ordered = 0;
    for (; !ready.empty(); ready.pop_front(), ++ordered) {
      for (const auto& [member, place] : plan_.steps[ready.front()].outputs) {
        for (const size_t consumer : plan_.tensors[place].consumers) {
          if (--missing[consumer] == 0) ready.push_back(consumer);
        }
      }
    }
    if (ordered == plan_.steps.size()) return Ok();
    const auto stuck = std::ranges::find_if(missing, [](size_t n) { return n > 0; });
    const auto index = static_cast<size_t>(stuck - missing.begin());
    return Wrong(Concat("step ", index, " (model '", plan_.steps[index].definition.model,
                        "') waits, through other steps, for its own output"));
  }

  static constexpr size_t kNone = EnsemblePlan::kNone;
  const ModelDefinition& definition_;
  EnsemblePlan plan_;
  std::unordered_map<std::string, size_t> places_;
};

}  // namespace

Result<EnsemblePlan> EnsemblePlan::Make(const ModelDefinition& definition) {
  return PlanBuilder(definition).Build();
}

std::vector<bool> EnsemblePlan::StepsFor(const Request& request) const {
  std::vector<bool> needed(steps.size(), false);
  std::vector<size_t> wanted;
  for (uint32_t i = 0; i < outputs.size(); ++i) {
    if (request.Wants(i)) wanted.push_back(outputs[i]);
  }
  while (!wanted.empty()) {
    const size_t producer = tensors[wanted.back()].producer;
    wanted.pop_back();
    if (producer == kNone || needed[producer]) continue;
    needed[producer] = true;
    for (const auto& [member, place] : steps[producer].inputs) wanted.push_back(place);
  }
  return needed;
}

}  // namespace despina
