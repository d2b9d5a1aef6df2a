#include "host/elf_symbols.h"

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace despina::host {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "name this machine's ELF number here"
#endif

Status Damaged(std::string_view what) { return InvalidArgument(Concat("it is damaged: ", what)); }

// Copies of what lies in a file, where it lies within it.
class File {
 public:
  explicit File(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  std::optional<T> Read(uint64_t offset) const {
    const auto part = Part(offset, sizeof(T));
    if (!part) return std::nullopt;
    T value;
    std::memcpy(&value, part->data(), sizeof(T));
    return value;
  }
  std::optional<std::span<const std::byte>> Part(uint64_t offset, uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return std::nullopt;
    return bytes_.subspan(offset, size);
  }

 private:
  std::span<const std::byte> bytes_;
};

// A text in a table of texts, up to its zero.
std::optional<std::string_view> TextAt(std::span<const std::byte> table, uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const auto* begin = reinterpret_cast<const char*>(table.data()) + offset;
  const void* end = std::memchr(begin, 0, table.size() - offset);
  if (end == nullptr) return std::nullopt;
  return std::string_view(begin, static_cast<size_t>(static_cast<const char*>(end) - begin));
}

Status CheckHeader(const std::optional<Elf64_Ehdr>& header) {
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return InvalidArgument("it is not a library: it does not begin as an ELF file does");
  }
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_machine != kMachine) {
    return InvalidArgument("it is made for another machine");
  }
  if (header->e_type != ET_DYN) {
    return InvalidArgument("it is not a shared library: link it with -shared");
  }
  if (header->e_shentsize != sizeof(Elf64_Shdr)) return Damaged("its sections have no table");
  return Ok();
}

void Sort(const Elf64_Sym& symbol, std::string_view name, ElfSymbols& out) {
  const auto binding = ELF64_ST_BIND(symbol.st_info);
  const auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  if (name.empty() || binding == STB_LOCAL) return;
  if (symbol.st_shndx == SHN_UNDEF) {
    out.undefined.push_back(name);
    return;
  }
  if (visibility == STV_HIDDEN || visibility == STV_INTERNAL) return;
  out.defined.push_back(name);
  if (binding == STB_GNU_UNIQUE) out.unique.push_back(name);
}

Result<ElfSymbols> ReadTable(const File& file, const Elf64_Shdr& table, const Elf64_Shdr& texts) {
  const auto names = file.Part(texts.sh_offset, texts.sh_size);
  if (!names || !file.Part(table.sh_offset, table.sh_size)) {
    return Damaged("its symbols lie outside of it");
  }
  ElfSymbols out;
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
    const auto symbol = *file.Read<Elf64_Sym>(table.sh_offset + at);
    const auto name = TextAt(*names, symbol.st_name);
    if (!name) return Damaged("a symbol has no name");
    Sort(symbol, *name, out);
  }
  return out;
}

}  // namespace

Result<ElfSymbols> ReadElfSymbols(std::span<const std::byte> bytes) {
  const File file(bytes);
  const auto header = file.Read<Elf64_Ehdr>(0);
  if (Status status = CheckHeader(header); !status.ok()) return status;
  const auto section = [&](uint64_t index) -> std::optional<Elf64_Shdr> {
    if (index >= header->e_shnum || header->e_shoff > bytes.size()) return std::nullopt;
    return file.Read<Elf64_Shdr>(header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    const auto each = section(i);
    if (!each) return Damaged("its sections lie outside of it");
    if (each->sh_type != SHT_DYNSYM) continue;
    const auto texts = section(each->sh_link);
    if (!texts) return Damaged("its symbols have no names");
    return ReadTable(file, *each, *texts);
  }
  return ElfSymbols{};
}

}  // namespace despina::host
