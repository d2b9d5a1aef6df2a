#include "protocol/metrics_text.h"

#include <gtest/gtest.h>

#include <limits>
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
  MetricRegistry none;
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
  const std::string text = MetricsText(models, std::nullopt, none);
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
  MetricRegistry none;
  const std::vector<NamedCounts> models = {{.model = "a", .version = 1, .counts = {}},
                                           {.model = "b", .version = 1, .counts = {}}};
  const std::string text = MetricsText(models, std::nullopt, none);
  EXPECT_NE(text.find("# TYPE nv_inference_count counter\n"
                      "nv_inference_count{model=\"a\",version=\"1\"} 0\n"
                      "nv_inference_count{model=\"b\",version=\"1\"} 0\n# HELP "),
            std::string::npos);
}

TEST(MetricsTextTest, EscapesLabels) {
  MetricRegistry none;
  const std::vector<NamedCounts> models = {
      {.model = "a\"} 1\nx{y=\"\\", .version = 1, .counts = {}}};
  const std::string text = MetricsText(models, std::nullopt, none);
  EXPECT_TRUE(HasLine(text, R"(nv_inference_count{model="a\"} 1\nx{y=\"\\",version="1"} 0)"));
}

TEST(MetricsTextTest, GivesTheMemoryOfThePool) {
  MetricRegistry none;
  const AllocatorStatistics pool{.bytes_in_use = 10, .bytes_cached = 20};
  const std::string text = MetricsText({}, pool, none);
  EXPECT_TRUE(HasLine(text, "# TYPE despina_pool_bytes gauge"));
  EXPECT_TRUE(HasLine(text, R"(despina_pool_bytes{state="in_use"} 10)"));
  EXPECT_TRUE(HasLine(text, R"(despina_pool_bytes{state="cached"} 20)"));
}

TEST(MetricsTextTest, GivesWhatBackendsCount) {
  MetricRegistry registry;
  ModelMetrics model(registry, "m\"1", "2");
  const auto get = [&](const char* name, MetricKind kind, std::vector<double> bounds,
                       MetricLabels labels) {
    const MetricFamily family{.kind = kind, .help = "a\nb\\", .bounds = std::move(bounds)};
    return *model.Get(name, family, std::move(labels));
  };
  get("cups_total", MetricKind::kCounter, {}, {{"of", "tea"}})->Add(2.5);
  get("cups_total", MetricKind::kCounter, {}, {{"of", "milk"}})->Add(1e21);
  get("heat", MetricKind::kGauge, {}, {})->Set(-std::numeric_limits<double>::infinity());
  const auto sizes = get("sizes", MetricKind::kHistogram, {0.1, 2}, {});
  for (const double size : {0.1, 1.0, 5.0}) sizes->Observe(size);
  const std::string text = MetricsText({}, std::nullopt, registry);
  const std::string labels = R"({model="m\"1")";
  EXPECT_EQ(text.substr(text.find("# HELP cups_total")),
            "# HELP cups_total a\\nb\\\\\n# TYPE cups_total counter\n"
            "cups_total" +
                labels +
                ",of=\"milk\",version=\"2\"} 1e+21\n"
                "cups_total" +
                labels +
                ",of=\"tea\",version=\"2\"} 2.5\n"
                "# HELP heat a\\nb\\\\\n# TYPE heat gauge\n"
                "heat" +
                labels +
                ",version=\"2\"} -Inf\n"
                "# HELP sizes a\\nb\\\\\n# TYPE sizes histogram\n"
                "sizes_bucket" +
                labels +
                ",version=\"2\",le=\"0.1\"} 1\n"
                "sizes_bucket" +
                labels +
                ",version=\"2\",le=\"2\"} 2\n"
                "sizes_bucket" +
                labels +
                ",version=\"2\",le=\"+Inf\"} 3\n"
                "sizes_count" +
                labels +
                ",version=\"2\"} 3\n"
                "sizes_sum" +
                labels + ",version=\"2\"} 6.1\n");
}

}  // namespace
}  // namespace despina::protocol
