#include "protocol/stats_json.h"

#include <gtest/gtest.h>

#include <vector>

namespace despina::protocol {
namespace {

TEST(StatsJsonTest, IsAnEmptyListWithoutModels) {
  EXPECT_EQ(StatisticsJson({}), R"({"model_stats":[]})");
}

TEST(StatsJsonTest, HasEveryFieldOfAModelThatHasDoneNothing) {
  const std::vector<NamedCounts> models = {{.model = "a\"b", .version = 2, .counts = {}}};
  EXPECT_EQ(StatisticsJson(models),
            R"({"model_stats":[{"name":"a\"b","version":"2","last_inference":0,)"
            R"("inference_count":0,"execution_count":0,"inference_stats":{)"
            R"("success":{"count":0,"ns":0},"fail":{"count":0,"ns":0},)"
            R"("queue":{"count":0,"ns":0},"compute_input":{"count":0,"ns":0},)"
            R"("compute_infer":{"count":0,"ns":0},"compute_output":{"count":0,"ns":0},)"
            R"("cache_hit":{"count":0,"ns":0},"cache_miss":{"count":0,"ns":0}},)"
            R"("response_stats":{},"batch_stats":[],"memory_usage":[]}]})");
}

TEST(StatsJsonTest, GivesTheResponsesOfADecoupledModelByTheirPlace) {
  ModelCounts counts;
  counts.responses.resize(2);
  counts.responses[0] = {.compute_infer = {.count = 5, .nanoseconds = 1},
                         .compute_output = {.count = 5, .nanoseconds = 2},
                         .success = {.count = 4, .nanoseconds = 3},
                         .fail = {.count = 1, .nanoseconds = 4},
                         .empty = {.count = 2, .nanoseconds = 5},
                         .cancel = {.count = 3, .nanoseconds = 6}};
  const std::vector<NamedCounts> models = {{.model = "m", .version = 1, .counts = counts}};
  const std::string text = StatisticsJson(models);
  EXPECT_NE(text.find(R"("response_stats":{"0":{"compute_infer":{"count":5,"ns":1},)"
                      R"("compute_output":{"count":5,"ns":2},"success":{"count":4,"ns":3},)"
                      R"("fail":{"count":1,"ns":4},"empty_response":{"count":2,"ns":5},)"
                      R"("cancel":{"count":3,"ns":6}},"1":{"compute_infer":{"count":0,"ns":0},)"),
            std::string::npos)
      << text;
}

TEST(StatsJsonTest, GivesCountsAndBatches) {
  ModelCounts counts;
  counts.success = {.count = 3, .nanoseconds = 30};
  counts.fail = {.count = 1, .nanoseconds = 4};
  counts.queue = {.count = 3, .nanoseconds = 5};
  counts.compute_input = {.count = 3, .nanoseconds = 6};
  counts.compute_infer = {.count = 3, .nanoseconds = 7};
  counts.compute_output = {.count = 3, .nanoseconds = 8};
  counts.inference_count = 9;
  counts.execution_count = 2;
  counts.last_inference_ms = 1'700'000'000'000;
  counts.batches[1] = {.compute_input = {.count = 1, .nanoseconds = 1},
                       .compute_infer = {.count = 1, .nanoseconds = 2},
                       .compute_output = {.count = 1, .nanoseconds = 3}};
  counts.batches[8] = {};
  const std::vector<NamedCounts> models = {{.model = "m", .version = 1, .counts = counts},
                                           {.model = "n", .version = 1, .counts = {}}};
  const std::string text = StatisticsJson(models);
  EXPECT_TRUE(text.starts_with(
      R"({"model_stats":[{"name":"m","version":"1","last_inference":1700000000000,)"
      R"("inference_count":9,"execution_count":2,"inference_stats":{)"
      R"("success":{"count":3,"ns":30},"fail":{"count":1,"ns":4},)"
      R"("queue":{"count":3,"ns":5},"compute_input":{"count":3,"ns":6},)"
      R"("compute_infer":{"count":3,"ns":7},"compute_output":{"count":3,"ns":8},)"
      R"("cache_hit":{"count":0,"ns":0},"cache_miss":{"count":0,"ns":0}},"response_stats":{},)"
      R"("batch_stats":[{"batch_size":1,"compute_input":{"count":1,"ns":1},)"
      R"("compute_infer":{"count":1,"ns":2},"compute_output":{"count":1,"ns":3}},)"
      R"({"batch_size":8,"compute_input":{"count":0,"ns":0},)"
      R"("compute_infer":{"count":0,"ns":0},"compute_output":{"count":0,"ns":0}}],)"
      R"("memory_usage":[]},{"name":"n",)"))
      << text;
}

}  // namespace
}  // namespace despina::protocol
