// The context of a trace that crosses processes, as the W3C has it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace despina {

using TraceId = std::array<uint8_t, 16>;
using SpanId = std::array<uint8_t, 8>;

TraceId NewTraceId();
SpanId NewSpanId();

struct TraceParent {
  TraceId trace{};
  SpanId span{};
  bool sampled = false;
};
// Of the header `traceparent`; nothing where it is not one.
std::optional<TraceParent> ParseTraceParent(std::string_view header);
std::string TraceParentText(const TraceParent& parent);

// Beyond it the header `tracestate` is left out, as the recommendation allows.
inline constexpr size_t kMaxTraceState = 512;

// The spans of one request.
struct TraceContext {
  TraceId trace = NewTraceId();
  // Whose part it is; all zero: nobody's.
  SpanId parent{};
  // From the arrival at the front end to the end of the answer; of a step, as its parent's.
  SpanId front = NewSpanId();
  // Within the model.
  SpanId model = NewSpanId();
  // The execution: the parent of what a backend does.
  SpanId compute = NewSpanId();
  std::string state{};
  // Whether the spans go to a collector, so that others may add theirs.
  bool shared = false;

  // The header that a backend sends on with its own requests.
  std::string Outgoing() const { return TraceParentText({trace, compute, true}); }
};

}  // namespace despina
