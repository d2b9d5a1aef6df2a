#include "base/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"

namespace despina {
namespace {

const MetricFamily kCups{.kind = MetricKind::kCounter, .help = "Cups", .bounds = {}};
const MetricFamily kHeat{.kind = MetricKind::kGauge, .help = "Heat", .bounds = {}};
const MetricFamily kSizes{.kind = MetricKind::kHistogram, .help = "Sizes", .bounds = {1, 2}};

class MetricsTest : public ::testing::Test {
 protected:
  // "name{key=value,...}" of all that is there.
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    registry_.ForEach([&](const std::string& name, const MetricFamily&, const MetricLabels& labels,
                          const MetricSeries&) {
      std::string text = name + '{';
      for (const auto& [key, value] : labels) text += Concat(key, '=', value, ',');
      names.push_back(text + '}');
    });
    return names;
  }
  Status Refusal(const std::string& name, const MetricFamily& family, MetricLabels labels = {}) {
    return model_.Get(name, family, std::move(labels)).status();
  }

  MetricRegistry registry_;
  ModelMetrics model_{registry_, {{"model", "m"}, {"version", "1"}}};
};

TEST_F(MetricsTest, ASeriesHasTheLabelsOfItsModel) {
  ASSERT_TRUE(model_.Get("cups_total", kCups, {{"size", "big"}}).ok());
  EXPECT_EQ(Names(), std::vector<std::string>{"cups_total{model=m,size=big,version=1,}"});
}

TEST_F(MetricsTest, TheSameNameAndLabelsAreTheSameSeries) {
  const auto one = model_.Get("cups_total", kCups, {{"a", "1"}, {"b", "2"}});
  const auto same = model_.Get("cups_total", kCups, {{"b", "2"}, {"a", "1"}});
  const auto other = model_.Get("cups_total", kCups, {{"a", "2"}, {"b", "2"}});
  EXPECT_EQ(one->get(), same->get());
  EXPECT_NE(one->get(), other->get());
}

TEST_F(MetricsTest, ACounterGrowsOnly) {
  const auto cups = *model_.Get("cups_total", kCups, {});
  EXPECT_TRUE(cups->Add(2));
  EXPECT_TRUE(cups->Add(0.5));
  EXPECT_FALSE(cups->Add(-1));
  EXPECT_FALSE(cups->Add(std::numeric_limits<double>::infinity()));
  EXPECT_FALSE(cups->Add(std::nan("")));
  EXPECT_FALSE(cups->Set(1));
  EXPECT_FALSE(cups->Observe(1));
  EXPECT_EQ(cups->value(), 2.5);
}

TEST_F(MetricsTest, AGaugeIsSetAndMoved) {
  const auto heat = *model_.Get("heat", kHeat, {});
  EXPECT_TRUE(heat->Set(80));
  EXPECT_TRUE(heat->Add(-15));
  EXPECT_FALSE(heat->Observe(1));
  EXPECT_EQ(heat->value(), 65);
}

TEST_F(MetricsTest, AHistogramCountsUpToAndWithItsBounds) {
  const auto sizes = *model_.Get("sizes", kSizes, {});
  for (const double size : {0.5, 1.0, 1.5, 2.0, 99.0}) EXPECT_TRUE(sizes->Observe(size));
  EXPECT_FALSE(sizes->Observe(std::nan("")));
  EXPECT_FALSE(sizes->Add(1));
  EXPECT_EQ(sizes->buckets(), (std::vector<uint64_t>{2, 2, 1}));
  EXPECT_EQ(sizes->value(), 104);
}

TEST_F(MetricsTest, NothingOfItStaysWhenTheModelHasGone) {
  {
    ModelMetrics other(registry_, {{"model", "other"}, {"version", "1"}});
    ASSERT_TRUE(other.Get("cups_total", kCups, {}).ok());
    ASSERT_TRUE(other.Get("sizes", kSizes, {}).ok());
    EXPECT_EQ(Names().size(), 2U);
  }
  EXPECT_TRUE(Names().empty());
  // What the name was before does not bind the next.
  EXPECT_TRUE(model_.Get("cups_total", kHeat, {}).ok());
}

TEST_F(MetricsTest, AClosedModelMakesNoMore) {
  const std::weak_ptr<MetricSeries> cups = *model_.Get("cups_total", kCups, {});
  model_.Close();
  EXPECT_TRUE(cups.expired());
  EXPECT_EQ(Refusal("cups_total", kCups).code(), Code::kFailedPrecondition);
}

TEST_F(MetricsTest, TwoLoadsOfOneVersionShareASeries) {
  ModelMetrics again(registry_, {{"model", "m"}, {"version", "1"}});
  EXPECT_EQ(*model_.Get("cups_total", kCups, {}), *again.Get("cups_total", kCups, {}));
  model_.Close();
  EXPECT_EQ(Names().size(), 1U);
}

TEST_F(MetricsTest, ANameHasOneFamily) {
  ASSERT_TRUE(model_.Get("cups_total", kCups, {}).ok());
  MetricFamily other_help = kCups;
  other_help.help = "Mugs";
  for (const MetricFamily& family : {kHeat, other_help}) {
    const Status refusal = Refusal("cups_total", family);
    EXPECT_EQ(refusal.code(), Code::kAlreadyExists);
    EXPECT_EQ(refusal.message(),
              "metric 'cups_total' is there with another kind, help or other bounds");
  }
}

TEST_F(MetricsTest, TheLinesOfAHistogramAreNobodyElses) {
  ASSERT_TRUE(model_.Get("sizes", kSizes, {}).ok());
  EXPECT_EQ(Refusal("sizes_sum", kCups).message(),
            "metric 'sizes_sum' is there as a part of histogram 'sizes'");
  ASSERT_TRUE(model_.Get("cups_count", kCups, {}).ok());
  EXPECT_EQ(Refusal("cups", kSizes).message(),
            "metric 'cups' is there as a part: see 'cups_count'");
}

TEST_F(MetricsTest, NamesThatThePageCannotHaveAreRefused) {
  for (const char* name : {"", "9lives", "a b", "a-b", "a\n", "\xc3\xa9", "nv_mine", "despina_x"}) {
    EXPECT_EQ(Refusal(name, kCups).code(), Code::kInvalidArgument) << name;
  }
  EXPECT_TRUE(model_.Get("a:b_9", kCups, {}).ok());
}

TEST_F(MetricsTest, LabelsThatThePageCannotHaveAreRefused) {
  for (const char* key : {"", "9", "a:b", "__a", "le", "model", "namespace", "version", "a b"}) {
    EXPECT_EQ(Refusal("cups_total", kCups, {{key, "x"}}).code(), Code::kInvalidArgument) << key;
  }
  EXPECT_EQ(Refusal("cups_total", kCups, {{"a", "x"}, {"a", "y"}}).message(),
            "metric 'cups_total' has label 'a' twice");
  EXPECT_TRUE(model_.Get("cups_total", kCups, {{"a", "any\n\"text\""}}).ok());
  MetricLabels many;
  for (size_t i = 0; i <= kMaxMetricLabels; ++i) many.emplace_back(Concat("l", i), "x");
  EXPECT_EQ(Refusal("cups_total", kCups, many).code(), Code::kInvalidArgument);
}

TEST_F(MetricsTest, TextsThatAreNotUtf8AreRefused) {
  for (const std::string& text : {std::string("\xff"), std::string("a\0b", 3)}) {
    EXPECT_EQ(Refusal("cups_total", kCups, {{"of", text}}).message(),
              "metric 'cups_total': the text of 'of' is not UTF-8");
    MetricFamily family = kCups;
    family.help = text;
    EXPECT_EQ(Refusal("cups_total", family).code(), Code::kInvalidArgument);
  }
  EXPECT_TRUE(model_.Get("cups_total", kCups, {{"of", "th\xC3\xA9"}}).ok());
}

TEST_F(MetricsTest, BoundsThatDoNotAscendAreRefused) {
  const double nan = std::nan("");
  for (const std::vector<double>& bounds : {std::vector<double>{2, 1},
                                            {1, 1},
                                            {nan},
                                            {1, std::numeric_limits<double>::infinity()},
                                            std::vector<double>(1001)}) {
    MetricFamily family = kSizes;
    family.bounds = bounds;
    EXPECT_EQ(Refusal("sizes", family).code(), Code::kInvalidArgument);
  }
  MetricFamily family = kCups;
  family.bounds = {1};
  EXPECT_EQ(Refusal("cups_total", family).message(),
            "metric 'cups_total' has bounds, and is no histogram");
}

TEST_F(MetricsTest, AModelHasSoManySeriesAndNoMore) {
  for (size_t i = 0; i < ModelMetrics::kMaxSeries; ++i) {
    ASSERT_TRUE(model_.Get("cups_total", kCups, {{"i", std::to_string(i)}}).ok());
  }
  EXPECT_EQ(Refusal("cups_total", kCups, {{"i", "more"}}).code(), Code::kResourceExhausted);
  EXPECT_EQ(Refusal("others_total", kCups).code(), Code::kResourceExhausted);
  // What is refused leaves nothing: the name is still free for another family.
  EXPECT_TRUE(ModelMetrics(registry_, {{"model", "other"}, {"version", "1"}})
                  .Get("others_total", kHeat, {})
                  .ok());
  EXPECT_TRUE(model_.Get("cups_total", kCups, {{"i", "0"}}).ok());
  EXPECT_EQ(Names().size(), ModelMetrics::kMaxSeries);
}

TEST_F(MetricsTest, NothingIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 10000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      const auto cups = *model_.Get("cups_total", kCups, {});
      const auto sizes = *model_.Get("sizes", kSizes, {});
      for (int i = 0; i < kTimes; ++i) {
        cups->Add(1);
        sizes->Observe(i % 3);
        if (i % 1000 == 0) Names();
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ((*model_.Get("cups_total", kCups, {}))->value(), kThreads * kTimes);
  uint64_t observed = 0;
  for (const uint64_t count : (*model_.Get("sizes", kSizes, {}))->buckets()) observed += count;
  EXPECT_EQ(observed, static_cast<uint64_t>(kThreads) * kTimes);
}

}  // namespace
}  // namespace despina
