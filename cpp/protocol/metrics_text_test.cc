#include "protocol/metrics_text.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.h"

namespace despina::protocol {
namespace {

bool HasLine(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricsTextTest, GivesEveryFamilyOfAModel) {
  ModelCounts counts;
  counts.success = {.count = 3, .nanoseconds = 30'999};
  counts.queue = {.count = 3, .nanoseconds = 5'000};
  counts.compute_input = {.count = 3, .nanoseconds = 6'000};
  counts.compute_infer = {.count = 3, .nanoseconds = 7'000};
  counts.compute_output = {.count = 3, .nanoseconds = 8'000};
  counts.inference_count = 9;
  counts.execution_count = 2;
  counts.failures = {1, 2, 3, 4};
  counts.pending = 5;
  const std::vector<NamedCounts> models = {{.model = "m", .version = 2, .counts = counts}};
  const std::string text = MetricsText(models, std::nullopt);
  const std::string labels = R"({model="m",version="2"} )";
  for (const auto& [name, type, value] :
       {std::tuple{"nv_inference_request_success", "counter", "3"},
        std::tuple{"nv_inference_count", "counter", "9"},
        std::tuple{"nv_inference_exec_count", "counter", "2"},
        std::tuple{"nv_inference_request_duration_us", "counter", "30"},
        std::tuple{"nv_inference_queue_duration_us", "counter", "5"},
        std::tuple{"nv_inference_compute_input_duration_us", "counter", "6"},
        std::tuple{"nv_inference_compute_infer_duration_us", "counter", "7"},
        std::tuple{"nv_inference_compute_output_duration_us", "counter", "8"},
        std::tuple{"nv_inference_pending_request_count", "gauge", "5"}}) {
    EXPECT_TRUE(HasLine(text, Concat("# TYPE ", name, ' ', type))) << name;
    EXPECT_NE(text.find(Concat("# HELP ", name, ' ')), std::string::npos) << name;
    EXPECT_TRUE(HasLine(text, Concat(name, labels, value))) << text;
  }
  EXPECT_TRUE(HasLine(text, "# TYPE nv_inference_request_failure counter"));
  for (const auto& [reason, value] : {std::pair{"REJECTED", "1"}, std::pair{"CANCELED", "2"},
                                      std::pair{"BACKEND", "3"}, std::pair{"OTHER", "4"}}) {
    EXPECT_TRUE(HasLine(text, Concat(R"(nv_inference_request_failure{model="m",version="2",)",
                                     R"(reason=")", reason, R"("} )", value)));
  }
  EXPECT_EQ(text.find("despina_pool_bytes"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
}

TEST(MetricsTextTest, WritesTheHeadOfAFamilyOnceForAllModels) {
  const std::vector<NamedCounts> models = {{.model = "a", .version = 1, .counts = {}},
                                           {.model = "b", .version = 1, .counts = {}}};
  const std::string text = MetricsText(models, std::nullopt);
  EXPECT_NE(text.find("# TYPE nv_inference_count counter\n"
                      "nv_inference_count{model=\"a\",version=\"1\"} 0\n"
                      "nv_inference_count{model=\"b\",version=\"1\"} 0\n# HELP "),
            std::string::npos);
}

TEST(MetricsTextTest, EscapesLabels) {
  const std::vector<NamedCounts> models = {
      {.model = "a\"} 1\nx{y=\"\\", .version = 1, .counts = {}}};
  const std::string text = MetricsText(models, std::nullopt);
  EXPECT_TRUE(HasLine(text, R"(nv_inference_count{model="a\"} 1\nx{y=\"\\",version="1"} 0)"));
}

TEST(MetricsTextTest, GivesTheMemoryOfThePool) {
  const AllocatorStatistics pool{.bytes_in_use = 10, .bytes_cached = 20};
  const std::string text = MetricsText({}, pool);
  EXPECT_TRUE(HasLine(text, "# TYPE despina_pool_bytes gauge"));
  EXPECT_TRUE(HasLine(text, R"(despina_pool_bytes{state="in_use"} 10)"));
  EXPECT_TRUE(HasLine(text, R"(despina_pool_bytes{state="cached"} 20)"));
}

}  // namespace
}  // namespace despina::protocol
