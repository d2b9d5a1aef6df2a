// Numbers of a model's own on the server's metrics page.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "despina/abi.h"
#include "despina/error.hpp"

namespace despina {

using Labels = std::vector<std::pair<std::string, std::string>>;

// All are handles, to be copied; good until their model is unloaded. Any thread, no locks.
class Metric {
 public:
  Metric(const despina_host_api& host, despina_metric* metric) : host_(&host), metric_(metric) {}

 protected:
  const despina_host_api* host_;
  despina_metric* metric_;
};

class Counter : public Metric {
 public:
  using Metric::Metric;
  // What is negative is refused, and said in the log.
  void add(double value = 1) const { host_->metric_add(metric_, value); }
};

class Gauge : public Metric {
 public:
  using Metric::Metric;
  void add(double value) const { host_->metric_add(metric_, value); }
  void set(double value) const { host_->metric_set(metric_, value); }
};

class Histogram : public Metric {
 public:
  using Metric::Metric;
  void observe(double value) const { host_->metric_observe(metric_, value); }
};

// Makes the metrics of one model; ModelSpec::metrics() gives it. Series also have the labels
// `model` and `version`. A series that is there already is given again.
class Metrics {
 public:
  Metrics(const despina_host_api& host, despina_metrics* metrics)
      : host_(&host), metrics_(metrics) {}

  // INVALID_ARGUMENT: a name or label that the page cannot have. ALREADY_EXISTS: the name has
  // another kind, help or other bounds.
  Counter counter(std::string_view name, std::string_view help, const Labels& labels = {}) const {
    return {*host_, Make(DESPINA_METRIC_COUNTER, name, help, labels, {})};
  }
  Gauge gauge(std::string_view name, std::string_view help, const Labels& labels = {}) const {
    return {*host_, Make(DESPINA_METRIC_GAUGE, name, help, labels, {})};
  }
  // Bounds of its buckets, ascending; infinity is added.
  Histogram histogram(std::string_view name, std::string_view help,
                      const std::vector<double>& bounds, const Labels& labels = {}) const {
    return {*host_, Make(DESPINA_METRIC_HISTOGRAM, name, help, labels, bounds)};
  }

 private:
  despina_metric* Make(int32_t kind, std::string_view name, std::string_view help,
                       const Labels& labels, const std::vector<double>& bounds) const {
    std::vector<despina_pair> pairs;
    for (const auto& [key, value] : labels) pairs.push_back({Lend(key), Lend(value)});
    despina_metric_spec spec{};
    spec.struct_size = sizeof spec;
    spec.kind = kind;
    spec.name = Lend(name);
    spec.help = Lend(help);
    spec.labels = pairs.data();
    spec.label_count = pairs.size();
    spec.bounds = bounds.data();
    spec.bound_count = bounds.size();
    despina_metric* metric = nullptr;
    despina_error error;
    error.message[0] = '\0';
    const despina_code code = host_->metric_create(metrics_, &spec, &metric, &error);
    if (code != DESPINA_OK) throw Error(code, error.message);
    return metric;
  }

  const despina_host_api* host_;
  despina_metrics* metrics_;
};

}  // namespace despina
