// Files that may be libraries, as they are read before they are loaded.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/fuzzing.h"
#include "host/elf_symbols.h"
#include "host/library.h"

namespace despina::host {
namespace {

bool LiesIn(std::span<const std::byte> file, std::string_view name) {
  const auto* begin = reinterpret_cast<const char*>(file.data());
  return name.data() >= begin && name.data() + name.size() < begin + file.size();
}

void CheckNames(std::span<const std::byte> file, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    Require(!name.empty(), "a symbol has a name");
    Require(LiesIn(file, name), "a name lies within the file");
    Require(name.data()[name.size()] == '\0' && name.find('\0') == name.npos,
            "a name goes up to its zero");
  }
}

void Check(std::span<const std::byte> file) {
  const Result<ElfSymbols> symbols = ReadElfSymbols(file);
  std::vector<std::string> warnings;
  const Status checked = CheckFile(file, warnings);
  if (!symbols.ok()) {
    Require(symbols.status().code() == Code::kInvalidArgument, "a damaged file is told so");
    Require(!symbols.status().message().empty(), "a refusal has a reason");
    Require(checked.message() == symbols.status().message(), "what cannot be read is not loaded");
    return;
  }
  CheckNames(file, symbols->defined);
  CheckNames(file, symbols->unique);
  CheckNames(file, symbols->undefined);
  Require(symbols->unique.size() <= symbols->defined.size(), "unique symbols are defined ones");
  if (!checked.ok()) return;
  const auto entry = std::ranges::find(symbols->defined, DESPINA_BACKEND_ENTRY);
  Require(entry != symbols->defined.end(), "what is loaded exports the entry");
  Require(warnings.empty() == symbols->unique.empty(), "unique symbols are warned of");
}

}  // namespace
}  // namespace despina::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  despina::host::Check(std::as_bytes(std::span(data, size)));
  return 0;
}
