// Times as Python gives them.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace despina::bindings {

// Python's ValueError for what is no time. Beyond some thirty years it is as good as no limit.
inline Duration Seconds(double seconds) {
  constexpr double kMostSeconds = 1e9;
  if (!(seconds >= 0)) throw pybind11::value_error("a time is a number of seconds from 0 on");
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(seconds, kMostSeconds)));
}

}  // namespace despina::bindings
