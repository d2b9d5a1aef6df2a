#include "protocol/metrics_text.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/text.h"
#include "engine/model.h"

namespace despina::protocol {
namespace {

bool HasLine(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

// A model that counts what a test says.
class CountedModel final : public Model {
 public:
  explicit CountedModel(std::string name, ModelDefinition definition = {})
      : Model(Named(std::move(name), std::move(definition)), clock) {}

  ModelCounts Counts() const override { return counts; }
  void Enqueue(RequestChain, Turn&) override {}
  void Cancel(Request&) override {}
  void Stop() override {}
  using Model::statistics;

  static inline ManualClock clock;
  ModelCounts counts;

 private:
  static ModelDefinition Named(std::string name, ModelDefinition definition) {
    definition.name = std::move(name);
    definition.version = 2;
    return definition;
  }
};

std::string Page(const std::vector<std::shared_ptr<Model>>& models,
                 const MetricsOptions& options = {}, const ServerFigures& server = {}) {
  MetricRegistry none;
  Snapshot snapshot;
  snapshot.serving = models;
  return MetricsText(snapshot, options, server, none);
}

TEST(MetricsTextTest, TellsHowOftenModelsCouldNotBeChanged) {
  Snapshot snapshot;
  snapshot.reload_failures = {{.labels = {{"model", "m"}, {"namespace", "a\"b"}}, .count = 3}};
  MetricRegistry none;
  const std::string text = MetricsText(snapshot, {}, {}, none);
  EXPECT_TRUE(HasLine(text, "# TYPE despina_model_reload_failures_total counter"));
  EXPECT_TRUE(
      HasLine(text, R"(despina_model_reload_failures_total{model="m",namespace="a\"b"} 3)"));
}

TEST(MetricsTextTest, GivesEveryFamilyOfAModel) {
  const auto model = std::make_shared<CountedModel>("m");
  ModelCounts& counts = model->counts;
  counts.success = {.count = 3, .nanoseconds = 30'999};
  counts.queue = {.count = 3, .nanoseconds = 5'000};
  counts.compute_input = {.count = 3, .nanoseconds = 6'000};
  counts.compute_infer = {.count = 3, .nanoseconds = 7'000};
  counts.compute_output = {.count = 3, .nanoseconds = 8'000};
  counts.inference_count = 9;
  counts.execution_count = 2;
  counts.failures = {1, 2, 3, 4};
  counts.pending = 5;
  model->SetLoadTime(std::chrono::milliseconds(1250));
  const std::string text = Page({model});
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
        std::tuple{"nv_model_load_duration_secs", "gauge", "1.25"},
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
  // Nothing that was not asked for.
  for (const char* name : {"despina_pool_bytes", "nv_cpu", "summary", "histogram"}) {
    EXPECT_EQ(text.find(name), std::string::npos) << name;
  }
  EXPECT_EQ(text.back(), '\n');
}

TEST(MetricsTextTest, LeavesTheSumsOfTimesOutWhereTheyAreNotWanted) {
  const std::string text =
      Page({std::make_shared<CountedModel>("m")}, {.counter_latencies = false});
  EXPECT_EQ(text.find("_duration_us"), std::string::npos);
  EXPECT_NE(text.find("nv_inference_exec_count"), std::string::npos);
}

TEST(MetricsTextTest, WritesTheHeadOfAFamilyOnceForAllModels) {
  const std::string text =
      Page({std::make_shared<CountedModel>("a"), std::make_shared<CountedModel>("b")});
  EXPECT_NE(text.find("# TYPE nv_inference_count counter\n"
                      "nv_inference_count{model=\"a\",version=\"2\"} 0\n"
                      "nv_inference_count{model=\"b\",version=\"2\"} 0\n# HELP "),
            std::string::npos);
}

TEST(MetricsTextTest, EscapesLabels) {
  const std::string text = Page({std::make_shared<CountedModel>("a\"} 1\nx{y=\"\\")});
  EXPECT_TRUE(HasLine(text, R"(nv_inference_count{model="a\"} 1\nx{y=\"\\",version="2"} 0)"));
}

TEST(MetricsTextTest, TagsOfAModelAreLabelsOfAllItsMetrics) {
  ModelDefinition definition;
  definition.metric_tags = {{"_cost", "a\nb"}, {"_team", "vision"}};
  const std::string text = Page({std::make_shared<CountedModel>("m", definition)});
  EXPECT_TRUE(HasLine(text, R"(nv_inference_count{_cost="a\nb",_team="vision",model="m",)"
                            R"(version="2"} 0)"));
  EXPECT_EQ(text.find("{model="), std::string::npos);
}

TEST(MetricsTextTest, GivesQuantilesOfModelsThatMeasureThem) {
  ModelDefinition definition;
  definition.measuring.summaries = true;
  const auto model = std::make_shared<CountedModel>("m", definition);
  const auto other = std::make_shared<CountedModel>("other");
  const MetricsOptions options{.quantiles = {0.5, 0.999}};
  std::string text = Page({model, other}, options);
  EXPECT_TRUE(
      HasLine(text, R"(nv_inference_queue_summary_us{model="m",version="2",quantile="0.5"} NaN)"));
  using std::chrono::microseconds;
  model->statistics().CountSuccess(
      CountedModel::clock.Now(), microseconds(60), 1,
      {microseconds(1), microseconds(2), microseconds(3), microseconds(4)});
  model->counts.success = {.count = 1, .nanoseconds = 60'999};
  text = Page({model, other}, options);
  EXPECT_NE(
      text.find("# TYPE nv_inference_request_summary_us summary\n"
                "nv_inference_request_summary_us_count{model=\"m\",version=\"2\"} 1\n"
                "nv_inference_request_summary_us_sum{model=\"m\",version=\"2\"} 60\n"
                "nv_inference_request_summary_us{model=\"m\",version=\"2\",quantile=\"0.5\"} 60\n"
                "nv_inference_request_summary_us{model=\"m\",version=\"2\",quantile=\"0.999\"} 60\n"
                "# HELP "),
      std::string::npos)
      << text;
  const std::pair<const char*, int> parts[] = {
      {"queue", 1}, {"compute_input", 2}, {"compute_infer", 3}, {"compute_output", 4}};
  for (const auto& [part, value] : parts) {
    EXPECT_TRUE(
        HasLine(text, Concat("nv_inference_", part, "_summary_us{model=\"m\",version=\"2\",",
                             "quantile=\"0.999\"} ", value)));
  }
}

TEST(MetricsTextTest, GivesTheTimesToTheFirstResponse) {
  ModelDefinition definition;
  definition.measuring.first_response_bounds = {0.5, 100};
  const auto model = std::make_shared<CountedModel>("m", definition);
  model->statistics().CountFirstResponse(std::chrono::microseconds(500));
  model->statistics().CountFirstResponse(std::chrono::milliseconds(250));
  const std::string text = Page({model, std::make_shared<CountedModel>("other")});
  const std::string name = "nv_inference_first_response_histogram_ms";
  EXPECT_NE(text.find(Concat("# TYPE ", name, " histogram\n", name,
                             "_bucket{model=\"m\",version=\"2\",le=\"0.5\"} 1\n", name,
                             "_bucket{model=\"m\",version=\"2\",le=\"100\"} 1\n", name,
                             "_bucket{model=\"m\",version=\"2\",le=\"+Inf\"} 2\n", name,
                             "_count{model=\"m\",version=\"2\"} 2\n", name,
                             "_sum{model=\"m\",version=\"2\"} 250.5\n")),
            std::string::npos)
      << text;
}

TEST(MetricsTextTest, GivesTheMemoryOfThePoolAndTheLoadOfTheMachine) {
  const ServerFigures server{
      .pool = AllocatorStatistics{.bytes_in_use = 10, .bytes_cached = 20, .bytes_kept = 30},
      .host = HostLoad{.cpu_utilization = 0.25,
                       .memory = {.total_bytes = 1'000'000'000'000, .used_bytes = 3}}};
  const std::string text = Page({}, {}, server);
  EXPECT_TRUE(HasLine(text, "# TYPE despina_pool_bytes gauge"));
  EXPECT_TRUE(HasLine(text, R"(despina_pool_bytes{state="in_use"} 10)"));
  EXPECT_TRUE(HasLine(text, R"(despina_pool_bytes{state="cached"} 20)"));
  EXPECT_TRUE(HasLine(text, "# TYPE nv_pinned_memory_pool_total_bytes gauge"));
  EXPECT_TRUE(HasLine(text, "nv_pinned_memory_pool_total_bytes 30"));
  EXPECT_TRUE(HasLine(text, "nv_pinned_memory_pool_used_bytes 10"));
  EXPECT_TRUE(HasLine(text, "nv_cpu_utilization 0.25"));
  EXPECT_TRUE(HasLine(text, "nv_cpu_memory_total_bytes 1000000000000"));
  EXPECT_TRUE(HasLine(text, "nv_cpu_memory_used_bytes 3"));
}

TEST(MetricsTextTest, GivesWhatBackendsCount) {
  MetricRegistry registry;
  ModelMetrics model(registry, {{"model", "m\"1"}, {"version", "2"}});
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
  const std::string text = MetricsText({}, {}, {}, registry);
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
