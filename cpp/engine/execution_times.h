// How long the parts of one execution took.
#pragma once

#include "base/clock.h"

namespace despina {

struct ExecutionTimes {
  Duration queue{0};
  Duration compute_input{0};
  Duration compute_infer{0};
  Duration compute_output{0};
};

}  // namespace despina
