// Shared libraries of backends. They are loaded once, and stay until the process ends.
#pragma once

#include <despina/abi.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace despina::host {

struct Library {
  std::string path;
  despina_backend_api api{};
  // What does not keep it from working, but may surprise; sentences.
  std::vector<std::string> warnings;
};

// What is asked of a library's file before anything of it runs: that it is a library for this
// machine, and exports the entry. Adds to the warnings.
Status CheckFile(std::span<const std::byte> file, std::vector<std::string>& warnings);

// Loads the library of a backend, or gives back the one that was loaded of this file before. A
// file that has changed is loaded beside what was there, which stays. Any thread; runs the
// library's own constructors. Every refusal begins with "library '<path>': ".
Result<const Library*> LoadLibrary(const std::string& path, std::string_view backend);

// The version of the interface that a library was compiled with, also of one that this server
// refuses for it. Loads the library, as above.
Result<std::string> AbiOfLibrary(const std::string& path);

}  // namespace despina::host
