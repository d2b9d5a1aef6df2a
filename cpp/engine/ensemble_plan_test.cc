#include "engine/ensemble_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/testing/ensembles.h"

namespace despina {
namespace {

using testing::Step;

TEST(EnsemblePlan, RefusesGraphsThatCannotWork) {
  const auto refusal = [](std::vector<StepDefinition> steps) {
    ModelDefinition definition = testing::Definition("e", 8);
    definition.steps = std::move(steps);
    const Status status = EnsemblePlan::Make(definition).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.message();
  };
  EXPECT_EQ(refusal({Step("a", {{"IN", "IN"}}, {{"OUT", "OUT"}}),
                     Step("b", {{"IN", "IN"}}, {{"OUT", "OUT"}})}),
            "ensemble 'e': tensor 'OUT' is produced twice, the second time by step 1 (model 'b')");
  EXPECT_EQ(refusal({Step("a", {{"IN", "OUT"}}, {{"OUT", "IN"}})}),
            "ensemble 'e': tensor 'IN' is produced twice, the second time by step 0 (model 'a')");
  EXPECT_EQ(refusal({Step("a", {{"IN", "GHOST"}}, {{"OUT", "OUT"}})}),
            "ensemble 'e': nothing produces tensor 'GHOST'");
  EXPECT_EQ(refusal({Step("a", {{"IN", "IN"}}, {{"OUT", "MID"}})}),
            "ensemble 'e': nothing produces tensor 'OUT'");
  EXPECT_EQ(refusal({Step("a", {{"IN", "IN"}}, {{"OUT", "MID"}}),
                     Step("b", {{"IN", "MID"}, {"BACK", "Y"}}, {{"OUT", "X"}}),
                     Step("c", {{"IN", "X"}}, {{"OUT", "Y"}, {"END", "OUT"}})}),
            "ensemble 'e': step 1 (model 'b') waits, through other steps, for its own output");
}

TEST(EnsemblePlan, IsMadeWhenTheEnsembleIsLoaded) {
  Engine engine(testing::Memory());
  ModelDefinition definition = testing::Definition("e", 8);
  definition.steps = {Step("a", {{"IN", "GHOST"}}, {{"OUT", "OUT"}})};
  const Status status = engine.Load(std::move(definition), nullptr).status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_EQ(status.message(), "ensemble 'e': nothing produces tensor 'GHOST'");
}

}  // namespace
}  // namespace despina
