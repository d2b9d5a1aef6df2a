#include "engine/batch_policy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace despina {
namespace {

using std::chrono::milliseconds;

constexpr size_t kWait = 0;

struct Waiting {
  uint32_t rows = 1;
  uint64_t shape_run = 0;
};

// All have arrived at the beginning of time.
RequestChain Queue(const std::vector<Waiting>& waiting) {
  RequestChain queue;
  for (const Waiting& each : waiting) {
    auto request = std::make_unique<Request>(ModelRef());
    request->state.rows = each.rows;
    request->state.shape_run = each.shape_run;
    queue.Append(std::move(request));
  }
  return queue;
}

struct Case {
  std::string name;
  std::vector<Waiting> waiting;
  uint32_t max_rows;
  std::vector<uint32_t> preferred;
  Duration delay;
  Duration age;
  size_t take;
};

std::ostream& operator<<(std::ostream& out, const Case& each) { return out << each.name; }

class DecideTest : public ::testing::TestWithParam<Case> {};

TEST_P(DecideTest, TakesWhatTheIncumbentTakes) {
  const Case& each = GetParam();
  const RequestChain queue = Queue(each.waiting);
  const BatchLimits limits{
      .max_rows = each.max_rows, .preferred_rows = each.preferred, .max_delay = each.delay};
  const Decision decision = Decide(queue.front(), limits, TimePoint(each.age));
  EXPECT_EQ(decision.take, each.take);
  if (each.take == kWait) {
    EXPECT_EQ(decision.until, TimePoint(each.delay));
  }
}

constexpr Waiting kOne{};

INSTANTIATE_TEST_SUITE_P(
    Facts, DecideTest,
    ::testing::Values(
        // Without a delay: what there is, up to the maximum.
        Case{"one alone", {kOne}, 4, {}, {}, {}, 1},
        Case{"as many as fit", {kOne, kOne, kOne, kOne, kOne}, 4, {}, {}, {}, 4},
        Case{"fewer than fit", {kOne, kOne}, 4, {}, {}, {}, 2},
        Case{"no batching", {kOne, kOne}, 1, {}, {}, {}, 1},
        // Rows count, not requests.
        Case{"rows fill it", {{2}, {2}, {1}}, 4, {}, {}, {}, 2},
        Case{"rows that do not fit wait", {{3}, {2}, {1}}, 4, {}, {}, {}, 1},
        Case{"a full one goes alone", {{4}, {1}}, 4, {}, {}, {}, 1},
        Case{"one above the preferred sizes goes alone", {{4}, {1}}, 8, {2}, {}, {}, 1},
        // Shapes are not mixed, and the order is kept.
        Case{"another shape ends it", {{1, 1}, {1, 1}, {1, 2}, {1, 1}}, 4, {}, {}, {}, 2},
        Case{"another shape ends the wait",
             {{1, 1}, {1, 2}},
             4,
             {},
             milliseconds(5),
             milliseconds(0),
             1},
        // Preferred sizes.
        Case{"the largest preferred one that is reached",
             {kOne, kOne, kOne, kOne, kOne},
             8,
             {2, 4},
             {},
             {},
             4},
        Case{"in any order", {kOne, kOne, kOne, kOne, kOne}, 8, {4, 2}, {}, {}, 4},
        Case{"not beyond the largest preferred", {kOne, kOne, kOne, kOne, kOne}, 8, {3}, {}, {}, 3},
        Case{"below the smallest without a delay", {kOne, kOne, kOne}, 8, {4}, {}, {}, 3},
        Case{"a preferred one does not wait for the next",
             {kOne, kOne, kOne},
             8,
             {2, 4},
             milliseconds(5),
             milliseconds(1),
             2},
        Case{"stops before what would pass the largest preferred",
             {{3}, {2}},
             8,
             {4},
             milliseconds(5),
             milliseconds(1),
             1},
        // The delay.
        Case{"waits for more", {kOne, kOne, kOne}, 8, {4}, milliseconds(5), milliseconds(4), kWait},
        Case{"until the delay is over",
             {kOne, kOne, kOne},
             8,
             {4},
             milliseconds(5),
             milliseconds(5),
             3},
        Case{"then all, not only a preferred size",
             {kOne, kOne, kOne},
             8,
             {2},
             milliseconds(5),
             milliseconds(6),
             3},
        Case{"a full batch does not wait",
             {kOne, kOne, kOne, kOne},
             4,
             {},
             milliseconds(5),
             milliseconds(0),
             4},
        Case{"a full one by rows does not wait",
             {{3}, {3}},
             4,
             {},
             milliseconds(5),
             milliseconds(0),
             1},
        Case{"a delay without end", {kOne}, 4, {}, Duration::max(), milliseconds(5), kWait}));

TEST(Decide, ServesABacklogInFullBatches) {
  RequestChain queue = Queue(std::vector<Waiting>(10));
  const BatchLimits limits{.max_rows = 4, .preferred_rows = {}, .max_delay = {}};
  std::vector<size_t> batches;
  while (!queue.empty()) {
    batches.push_back(Decide(queue.front(), limits, TimePoint{}).take);
    for (size_t i = 0; i < batches.back(); ++i) queue.TakeFirst();
  }
  EXPECT_EQ(batches, (std::vector<size_t>{4, 4, 2}));
}

TEST(Decide, ServesShapesAABBAInThreeBatches) {
  RequestChain queue = Queue({{1, 1}, {1, 1}, {1, 2}, {1, 2}, {1, 3}});
  const BatchLimits limits{.max_rows = 8, .preferred_rows = {}, .max_delay = {}};
  std::vector<size_t> batches;
  while (!queue.empty()) {
    batches.push_back(Decide(queue.front(), limits, TimePoint{}).take);
    for (size_t i = 0; i < batches.back(); ++i) queue.TakeFirst();
  }
  EXPECT_EQ(batches, (std::vector<size_t>{2, 2, 1}));
}

}  // namespace
}  // namespace despina
