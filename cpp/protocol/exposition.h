// Lines of Prometheus' text format.
#pragma once

#include <concepts>
#include <span>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "base/text.h"

namespace despina::protocol {

std::string NumberText(double value);
// `a="1",b="2"`
std::string LabelText(const MetricLabels& labels);

// HELP and TYPE. `help` may be any text.
void AppendHead(std::string& out, std::string_view name, std::string_view help,
                std::string_view type);

// `labels` is as LabelText() gives it, and may be empty.
void AppendSampleText(std::string& out, std::string_view name, std::string_view labels,
                      std::string_view value);
void AppendSample(std::string& out, std::string_view name, std::string_view labels,
                  std::integral auto value) {
  AppendSampleText(out, name, labels, Concat(value));
}
void AppendSample(std::string& out, std::string_view name, std::string_view labels,
                  std::floating_point auto value) {
  AppendSampleText(out, name, labels, NumberText(value));
}

// `bounds` are those of the series.
void AppendHistogram(std::string& out, std::string_view name, std::span<const double> bounds,
                     std::string_view labels, const MetricSeries& series);
// All families and series.
void AppendRegistry(std::string& out, MetricRegistry& registry);

}  // namespace despina::protocol
