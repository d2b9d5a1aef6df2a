#include "protocol/exposition.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <vector>

namespace despina::protocol {
namespace {

// Of the exposition format, not of JSON: only these three are escaped in a label's value.
std::string LabelValue(std::string_view text) {
  std::string out;
  for (const char each : text) {
    if (each == '\n') {
      out += "\\n";
      continue;
    }
    if (each == '"' || each == '\\') out += '\\';
    out += each;
  }
  return out;
}

// Of the text after HELP, which is not quoted.
std::string HelpText(std::string_view text) {
  std::string out;
  for (const char each : text) {
    if (each == '\n' || each == '\\') out += '\\';
    out += each == '\n' ? 'n' : each;
  }
  return out;
}

std::string_view TypeName(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      break;
  }
  return "histogram";
}

}  // namespace

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> text{};  // the shortest that reads back as the same number has 24 at most
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string LabelText(const MetricLabels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    text += Concat(text.empty() ? "" : ",", key, "=\"", LabelValue(value), '"');
  }
  return text;
}

void AppendHead(std::string& out, std::string_view name, std::string_view help,
                std::string_view type) {
  out += Concat("# HELP ", name, ' ', HelpText(help), "\n# TYPE ", name, ' ', type, '\n');
}

void AppendSampleText(std::string& out, std::string_view name, std::string_view labels,
                      std::string_view value) {
  out += name;
  if (!labels.empty()) out += Concat('{', labels, '}');
  out += Concat(' ', value, '\n');
}

void AppendHistogram(std::string& out, std::string_view name, std::span<const double> bounds,
                     std::string_view labels, const MetricSeries& series) {
  const std::vector<uint64_t> buckets = series.buckets();
  uint64_t count = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    count += buckets[i];
    const double bound = i < bounds.size() ? bounds[i] : INFINITY;
    AppendSample(out, Concat(name, "_bucket"),
                 Concat(labels, labels.empty() ? "" : ",", "le=\"", NumberText(bound), '"'), count);
  }
  AppendSample(out, Concat(name, "_count"), labels, count);
  AppendSample(out, Concat(name, "_sum"), labels, series.value());
}

void AppendRegistry(std::string& out, MetricRegistry& registry) {
  std::string headed;
  registry.ForEach([&](const std::string& name, const MetricFamily& family,
                       const MetricLabels& labels, const MetricSeries& series) {
    if (name != headed) AppendHead(out, name, family.help, TypeName(family.kind));
    headed = name;
    if (family.kind == MetricKind::kHistogram) {
      AppendHistogram(out, name, family.bounds, LabelText(labels), series);
    } else {
      AppendSample(out, name, LabelText(labels), series.value());
    }
  });
}

}  // namespace despina::protocol
