// What a shared library exports, read from its file without running anything of it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace despina::host {

// Names lie within the file that was read.
struct ElfSymbols {
  // Functions and objects that are defined here and visible from outside.
  std::vector<std::string_view> defined;
  // Of these, those that all libraries of a process share by name, whoever loads them.
  std::vector<std::string_view> unique;
  // What it needs from others.
  std::vector<std::string_view> undefined;
};

// INVALID_ARGUMENT when the bytes are no shared library for this machine, or are damaged. Reads
// nothing outside of `file`, whatever it says.
Result<ElfSymbols> ReadElfSymbols(std::span<const std::byte> file);

}  // namespace despina::host
