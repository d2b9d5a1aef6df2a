// Numbers that backends put on the metrics page, besides those that the server counts itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace despina {

enum class MetricKind : uint8_t { kCounter, kGauge, kHistogram };

// What all series of one name share.
struct MetricFamily {
  MetricKind kind = MetricKind::kCounter;
  std::string help;
  // Upper bounds of a histogram's buckets, ascending, without infinity.
  std::vector<double> bounds;

  friend bool operator==(const MetricFamily&, const MetricFamily&) = default;
};

// Of one series. The page has a line for each bound.
inline constexpr size_t kMaxMetricBounds = 1000;
inline constexpr size_t kMaxMetricLabels = 64;

// Sorted by key.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// One line of the page, or the lines of one histogram. Any thread, no locks. What does not go with
// its kind, or is no number that it can take, changes nothing and gives false.
class MetricSeries {
 public:
  explicit MetricSeries(const MetricFamily& family);

  bool Add(double value);
  bool Set(double value);
  bool Observe(double value);

  // Of a histogram: the sum of what was observed.
  double value() const { return value_.load(std::memory_order_relaxed); }
  // Of a histogram: how many fell into each bucket, the last of which has no bound.
  std::vector<uint64_t> buckets() const;

 private:
  const MetricKind kind_;
  const std::vector<double> bounds_;
  std::atomic<double> value_{0};
  std::vector<std::atomic<uint64_t>> buckets_;
};

// All series of a process. Any thread.
class MetricRegistry {
 public:
  using Visitor = std::function<void(const std::string& name, const MetricFamily& family,
                                     const MetricLabels& labels, const MetricSeries& series)>;

  // Libraries of backends and their models belong to the process, and so do their metrics.
  static MetricRegistry& Process();

  // A series that is there already is given again; one that nobody holds is not there any more.
  // INVALID_ARGUMENT: a name, text or bounds that the page cannot have. ALREADY_EXISTS: the name
  // is there, and is of another family. Null where it is not there and is not to be made.
  Result<std::shared_ptr<MetricSeries>> Get(const std::string& name, const MetricFamily& family,
                                            MetricLabels labels, bool make = true);

  // By name, then by labels.
  void ForEach(const Visitor& visit);

 private:
  struct Member {
    MetricFamily family;
    std::map<MetricLabels, std::weak_ptr<MetricSeries>> series;
  };

  Status CheckFamily(const std::string& name, const MetricFamily& family) const;
  void DropUnheld();

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, Member> members_;
};

// The metrics of one model: they carry its labels, and leave the page with it. Any thread.
class ModelMetrics {
 public:
  ModelMetrics(MetricRegistry& registry, MetricLabels labels)
      : registry_(registry), labels_(std::move(labels)) {}

  const MetricLabels& labels() const { return labels_; }

  // As MetricRegistry::Get(). RESOURCE_EXHAUSTED past kMaxSeries; FAILED_PRECONDITION after
  // Close(). The series is held until then.
  Result<std::shared_ptr<MetricSeries>> Get(const std::string& name, const MetricFamily& family,
                                            MetricLabels labels);
  void Close();

  // Labels may come from what clients send.
  static constexpr size_t kMaxSeries = 10000;

 private:
  MetricRegistry& registry_;
  const MetricLabels labels_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::map<const MetricSeries*, std::shared_ptr<MetricSeries>> held_;
  bool closed_ = false;
};

}  // namespace despina
