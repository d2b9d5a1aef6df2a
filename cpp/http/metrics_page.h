// What the metrics port answers.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/host_load.h"
#include "engine/submit.h"
#include "http/message.h"
#include "memory/allocator.h"
#include "protocol/metrics_text.h"

namespace despina::http {

struct MetricsOptions {
  protocol::MetricsOptions page;
  // Whether the machine's processors and memory are on the page, read at most so often.
  bool host_load = true;
  Duration interval = std::chrono::seconds(2);
};

// Any thread.
class MetricsPage {
 public:
  MetricsPage(const MetricsOptions& options, Clock& clock);

  Answer Get(const Snapshot& snapshot, const Allocator& allocator);

 private:
  const protocol::MetricsOptions options_;
  std::optional<HostLoadMeter> host_load_;
};

}  // namespace despina::http
