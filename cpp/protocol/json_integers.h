// Integers that are JSON, but more than the parser takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace despina::protocol {

// A copy of the text in which integers beyond 64 bits are numbers with a fraction of zero, which
// the parser rounds to the nearest double: other writers put 1e20 as 100000000000000000000.
// Nothing when there is none. The text need not be JSON; what is wrong with it stays wrong.
std::optional<std::string> WithoutWideIntegers(std::string_view text);

}  // namespace despina::protocol
