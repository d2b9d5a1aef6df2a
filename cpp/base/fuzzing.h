// For *_fuzz.cc: what must hold whatever the input. Not for production code.
#pragma once

#include <cstdlib>
#include <iostream>
#include <source_location>
#include <string_view>

namespace despina {

// Ends the process where it does not hold, which libFuzzer takes for a finding.
inline void Require(bool holds, std::string_view what,
                    const std::source_location& place = std::source_location::current()) {
  if (holds) return;
  std::cerr << place.file_name() << ':' << place.line() << ": does not hold: " << what << '\n';
  std::abort();
}

}  // namespace despina
