// Ensembles for tests.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/testing.h"

namespace despina::testing {

using Names = std::vector<std::pair<std::string, std::string>>;

inline StepDefinition Step(std::string model, Names inputs, Names outputs) {
  return {.model = std::move(model),
          .version = -1,
          .inputs = std::move(inputs),
          .outputs = std::move(outputs)};
}

inline ModelDefinition Ensemble(std::string name, std::vector<StepDefinition> steps) {
  ModelDefinition definition = Definition(std::move(name), 8);
  definition.instances.clear();
  definition.steps = std::move(steps);
  return definition;
}

// IN -> first -> MID -> second -> OUT
inline ModelDefinition Chain(std::string name, std::string first, std::string second) {
  return Ensemble(std::move(name), {Step(std::move(first), {{"IN", "IN"}}, {{"OUT", "MID"}}),
                                    Step(std::move(second), {{"IN", "MID"}}, {{"OUT", "OUT"}})});
}

// The sum of all inputs, and one more.
inline void AddUp(Batch& batch) {
  std::vector<float> sum;
  Shape shape;
  for (uint32_t i = 0; i < batch.definition().inputs.size(); ++i) {
    const Tensor* input = *batch.Gather(i);
    if (input == nullptr) continue;
    const std::vector<float> values = FloatsOf(*input);
    if (sum.empty()) sum.assign(values.size(), 1);
    for (size_t at = 0; at < values.size(); ++at) sum[at] += values[at];
    shape = input->shape;
  }
  batch.CompleteUnanswered(batch.Scatter(0, Floats(shape, sum)));
}

inline ExecuteFunction Failing(const std::string& text) {
  return [text](Batch& batch) { batch.CompleteUnanswered(InvalidArgument(text)); };
}

class EnsembleFixture : public ::testing::Test {
 protected:
  void Serve(ModelDefinition definition, std::unique_ptr<ExecutorFactory> factory = nullptr) {
    const Status served = server_.Serve(std::move(definition), std::move(factory));
    ASSERT_TRUE(served.ok()) << served.message();
  }
  std::unique_ptr<Request> Infer(std::string_view model, Tensor input) {
    server_.Send(model, std::move(input));
    return server_.answers.Next();
  }
  static Tensor Row(float value) { return Floats({1, 1}, {value}); }
  static std::vector<float> Out(const Request& answer) {
    EXPECT_TRUE(answer.response.status.ok()) << answer.response.status.message();
    return answer.response.status.ok() ? FloatsOf(answer.response.outputs.at(0).tensor)
                                       : std::vector<float>();
  }
  void WaitForQueue(std::string_view model, uint64_t pending) {
    while (server_.Counts(model).pending < pending) std::this_thread::yield();
  }

  Server server_;
};

}  // namespace despina::testing
