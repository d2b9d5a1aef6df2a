// Which of the waiting requests form the next batch: a pure function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "engine/request.h"

namespace despina {

struct BatchLimits {
  uint32_t max_rows = 1;
  // Sizes to aim at, in any order; empty: max_rows.
  std::vector<uint32_t> preferred_rows;
  // How long the oldest request may be held back to fill a batch.
  Duration max_delay{0};
};

struct Decision {
  // Requests to run now, from the front; 0: wait.
  size_t take = 0;
  // When waiting: until then at most.
  TimePoint until{};
};

// `first` is the oldest waiting request, the others are linked behind it. A batch is a run of
// requests from the front of equal shapes that fits into max_rows. Of the sizes reached, the
// largest preferred one is run. When no preferred one is reached, what there is runs if it cannot
// grow, or once the oldest has waited for max_delay.
Decision Decide(const Request* first, const BatchLimits& limits, TimePoint now);

}  // namespace despina
