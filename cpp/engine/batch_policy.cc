#include "engine/batch_policy.h"

#include <algorithm>

namespace despina {
namespace {

bool IsPreferred(uint32_t rows, const BatchLimits& limits) {
  if (limits.preferred_rows.empty()) return rows == limits.max_rows;
  return std::ranges::find(limits.preferred_rows, rows) != limits.preferred_rows.end();
}

uint32_t LargestPreferred(const BatchLimits& limits) {
  if (limits.preferred_rows.empty()) return limits.max_rows;
  return std::ranges::max(limits.preferred_rows);
}

}  // namespace

Decision Decide(const Request* first, const BatchLimits& limits, TimePoint now) {
  const uint32_t largest = LargestPreferred(limits);
  uint32_t rows = 0;
  size_t count = 0;
  size_t best = 0;
  bool full = false;
  for (const Request* each = first; each != nullptr; each = RequestChain::Next(*each)) {
    const uint32_t next = rows + each->state.rows;
    if (next > largest && best == 0) best = count;
    if (count > 0 && (next > limits.max_rows || each->state.shape_run != first->state.shape_run)) {
      full = true;
      break;
    }
    rows = next;
    ++count;
    if (IsPreferred(rows, limits)) best = count;
  }
  const TimePoint held_until = Later(first->state.arrival, limits.max_delay);
  const bool held = limits.max_delay > Duration::zero();
  if (best > 0 && !(held && now >= held_until)) return {.take = best};
  if (full || rows >= largest || !held || now >= held_until) return {.take = count};
  return {.take = 0, .until = held_until};
}

}  // namespace despina
