#include "base/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "base/utf8.h"

namespace despina {
namespace {

constexpr std::array<std::string_view, 2> kReservedPrefixes = {"nv_", "despina_"};
constexpr std::array<std::string_view, 4> kReservedLabels = {"le", "model", "namespace", "version"};
// What the names of a histogram's lines end with.
constexpr std::array<std::string_view, 3> kHistogramSuffixes = {"_bucket", "_count", "_sum"};

bool IsName(std::string_view text, bool colons) {
  const auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colons && c == ':');
  };
  return !text.empty() && (text.front() < '0' || text.front() > '9') &&
         std::all_of(text.begin(), text.end(), fits);
}

Status CheckName(const std::string& name) {
  if (!IsName(name, true)) {
    return InvalidArgument(
        Concat("'", name, "' is no name of a metric: letters, digits, '_', ':'"));
  }
  for (const std::string_view prefix : kReservedPrefixes) {
    if (!name.starts_with(prefix)) continue;
    return InvalidArgument(
        Concat("metric '", name, "': names with '", prefix, "' are the server's own"));
  }
  return Ok();
}

Status CheckBounds(const std::string& name, const MetricFamily& family) {
  const std::vector<double>& bounds = family.bounds;
  if (family.kind != MetricKind::kHistogram) {
    if (bounds.empty()) return Ok();
    return InvalidArgument(Concat("metric '", name, "' has bounds, and is no histogram"));
  }
  const bool finite =
      std::all_of(bounds.begin(), bounds.end(), [](double x) { return std::isfinite(x); });
  const auto unsorted = std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>());
  if (finite && unsorted == bounds.end() && bounds.size() <= kMaxMetricBounds) return Ok();
  return InvalidArgument(
      Concat("metric '", name, "': bounds are finite, ascend, and are at most ", kMaxMetricBounds));
}

// A page with another text in it would be refused as a whole.
Status CheckText(const std::string& name, std::string_view of, std::string_view text) {
  if (IsUtf8(text) && text.find('\0') == std::string_view::npos) return Ok();
  return InvalidArgument(Concat("metric '", name, "': the text of '", of, "' is not UTF-8"));
}

Status CheckLabels(const std::string& name, const MetricLabels& labels) {
  if (labels.size() > kMaxMetricLabels) {
    return InvalidArgument(Concat("metric '", name, "' has ", labels.size(), " labels, at most ",
                                  kMaxMetricLabels, " are possible"));
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::string& key = labels[i].first;
    if (!IsName(key, false) || key.starts_with("__")) {
      return InvalidArgument(Concat("metric '", name, "': '", key, "' is no name of a label"));
    }
    if (i > 0 && labels[i - 1].first == key) {
      return InvalidArgument(Concat("metric '", name, "' has label '", key, "' twice"));
    }
    if (Status status = CheckText(name, key, labels[i].second); !status.ok()) return status;
  }
  return Ok();
}

}  // namespace

MetricSeries::MetricSeries(const MetricFamily& family)
    : kind_(family.kind), bounds_(family.bounds), buckets_(family.bounds.size() + 1) {}

bool MetricSeries::Add(double value) {
  if (kind_ == MetricKind::kHistogram) return false;
  if (kind_ == MetricKind::kCounter && !(std::isfinite(value) && value >= 0)) return false;
  value_.fetch_add(value, std::memory_order_relaxed);
  return true;
}

bool MetricSeries::Set(double value) {
  if (kind_ != MetricKind::kGauge) return false;
  value_.store(value, std::memory_order_relaxed);
  return true;
}

bool MetricSeries::Observe(double value) {
  if (kind_ != MetricKind::kHistogram || std::isnan(value)) return false;
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  buckets_[static_cast<size_t>(bound - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  value_.fetch_add(value, std::memory_order_relaxed);
  return true;
}

std::vector<uint64_t> MetricSeries::buckets() const {
  std::vector<uint64_t> counts;
  counts.reserve(buckets_.size());
  for (const auto& each : buckets_) counts.push_back(each.load(std::memory_order_relaxed));
  return counts;
}

MetricRegistry& MetricRegistry::Process() {
  static MetricRegistry registry;
  return registry;
}

Result<std::shared_ptr<MetricSeries>> MetricRegistry::Get(const std::string& name,
                                                          const MetricFamily& family,
                                                          MetricLabels labels, bool make) {
  std::sort(labels.begin(), labels.end());
  for (const Status& status : {CheckName(name), CheckText(name, "help", family.help),
                               CheckBounds(name, family), CheckLabels(name, labels)}) {
    if (!status.ok()) return status;
  }
  std::lock_guard lock(mutex_);
  if (!CheckFamily(name, family).ok()) DropUnheld();
  if (Status status = CheckFamily(name, family); !status.ok()) return status;
  if (!make) {
    const auto member = members_.find(name);
    if (member == members_.end()) return std::shared_ptr<MetricSeries>();
    const auto place = member->second.series.find(labels);
    return place != member->second.series.end() ? place->second.lock() : nullptr;
  }
  Member& member = members_.try_emplace(name, Member{.family = family, .series = {}}).first->second;
  std::weak_ptr<MetricSeries>& place = member.series[std::move(labels)];
  std::shared_ptr<MetricSeries> series = place.lock();
  if (series == nullptr) place = series = std::make_shared<MetricSeries>(family);
  return series;
}

Status MetricRegistry::CheckFamily(const std::string& name, const MetricFamily& family) const {
  const auto taken = [&](const std::string& by) {
    return Status(Code::kAlreadyExists, Concat("metric '", name, "' is there", by));
  };
  const auto same = members_.find(name);
  if (same != members_.end() && !(same->second.family == family)) {
    return taken(" with another kind, help or other bounds");
  }
  for (const std::string_view suffix : kHistogramSuffixes) {
    const std::string line = Concat(name, suffix);
    if (family.kind == MetricKind::kHistogram && members_.contains(line)) {
      return taken(Concat(" as a part: see '", line, "'"));
    }
    if (!name.ends_with(suffix)) continue;
    const auto whole = members_.find(name.substr(0, name.size() - suffix.size()));
    if (whole != members_.end() && whole->second.family.kind == MetricKind::kHistogram) {
      return taken(Concat(" as a part of histogram '", whole->first, "'"));
    }
  }
  return Ok();
}

void MetricRegistry::ForEach(const Visitor& visit) {
  std::lock_guard lock(mutex_);
  DropUnheld();
  for (const auto& [name, member] : members_) {
    for (const auto& [labels, held] : member.series) {
      if (const auto series = held.lock()) visit(name, member.family, labels, *series);
    }
  }
}

void MetricRegistry::DropUnheld() {
  for (auto& [name, member] : members_) {
    std::erase_if(member.series, [](const auto& each) { return each.second.expired(); });
  }
  std::erase_if(members_, [](const auto& each) { return each.second.series.empty(); });
}

Result<std::shared_ptr<MetricSeries>> ModelMetrics::Get(const std::string& name,
                                                        const MetricFamily& family,
                                                        MetricLabels labels) {
  for (const auto& [key, value] : labels) {
    if (std::find(kReservedLabels.begin(), kReservedLabels.end(), key) == kReservedLabels.end()) {
      continue;
    }
    return InvalidArgument(Concat("metric '", name, "': label '", key, "' is the server's own"));
  }
  labels.insert(labels.end(), labels_.begin(), labels_.end());
  std::lock_guard lock(mutex_);
  if (closed_) {
    return Status(Code::kFailedPrecondition,
                  Concat("metric '", name, "': its model has been unloaded"));
  }
  const bool room = held_.size() < kMaxSeries;
  auto series = registry_.Get(name, family, std::move(labels), room);
  if (!series.ok() || held_.contains(series->get())) return series;
  if (!room) {
    return Status(Code::kResourceExhausted,
                  Concat("metric '", name, "': the model has ", kMaxSeries, " series already"));
  }
  held_.emplace(series->get(), *series);
  return series;
}

void ModelMetrics::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  held_.clear();
}

}  // namespace despina
