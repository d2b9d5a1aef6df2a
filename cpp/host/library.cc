#include "host/library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "host/elf_symbols.h"
#include "host/handshake.h"
#include "host/host_api.h"

namespace despina::host {
namespace {

// A file's bytes, as long as it lives.
class MappedFile {
 public:
  static Result<MappedFile> Open(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return Unreadable(errno);
    MappedFile mapped;
    const int error = mapped.Map(file);
    ::close(file);
    if (error != 0) return Unreadable(error);
    return mapped;
  }
  MappedFile(MappedFile&& other) noexcept
      : status_(other.status_), bytes_(std::exchange(other.bytes_, {})) {}
  ~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }

  const struct stat& status() const { return status_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  MappedFile() = default;
  static Status Unreadable(int error) {
    return NotFound(Concat("it cannot be read: ", std::generic_category().message(error)));
  }
  int Map(int file) {
    if (::fstat(file, &status_) != 0) return errno;
    if (!S_ISREG(status_.st_mode)) return EISDIR;
    if (status_.st_size == 0) return 0;
    const auto size = static_cast<size_t>(status_.st_size);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) return errno;
    bytes_ = {static_cast<const std::byte*>(data), size};
    return 0;
  }

  struct stat status_ {};
  std::span<const std::byte> bytes_;
};

bool IsTritons(std::string_view symbol) {
  return symbol.starts_with("TRITONBACKEND_") || symbol.starts_with("TRITONSERVER_");
}

Status CheckSymbols(const ElfSymbols& symbols, std::vector<std::string>& warnings) {
  if (std::ranges::any_of(symbols.defined, IsTritons) ||
      std::ranges::any_of(symbols.undefined, IsTritons)) {
    return {Code::kUnimplemented,
            "it was made for Triton's backend interface, which this server does not load: port it "
            "to despina/backend.hpp of the distribution 'despina-sdk'"};
  }
  if (std::ranges::find(symbols.defined, DESPINA_BACKEND_ENTRY) == symbols.defined.end()) {
    return InvalidArgument("it exports no '" DESPINA_BACKEND_ENTRY
                           "': end one of its sources with DESPINA_BACKEND(...), and link it with "
                           "despina_add_backend()");
  }
  if (!symbols.unique.empty()) {
    warnings.push_back(Concat("it exports ", symbols.unique.size(),
                              " symbols that are unique in a process, among them '",
                              symbols.unique.front(),
                              "': another library with the same ones would share its variables; "
                              "compile it with -fno-gnu-unique, as despina_add_backend() does"));
  }
  return Ok();
}

// Which file it was, whatever its name: a changed one is another.
using Identity = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t>;
Identity IdentityOf(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
          status.st_mtim.tv_nsec};
}

class Libraries {
 public:
  Result<const Library*> Load(const std::string& path, std::string_view backend) {
    std::lock_guard lock(mutex_);
    const Result<MappedFile> file = MappedFile::Open(path);
    if (!file.ok()) return file.status();
    const Identity identity = IdentityOf(file->status());
    if (const auto known = loaded_.find(identity); known != loaded_.end()) {
      return Named(*known->second, backend);
    }
    auto library = std::make_unique<Library>();
    library->path = path;
    if (Status status = CheckFile(file->bytes(), library->warnings); !status.ok()) return status;
    Result<void*> handle = Open(path, identity);
    if (!handle.ok()) return handle.status();
    Result<despina_backend_api> api = ShakeHands(EntryOf(*handle), HostApi(), backend);
    if (!api.ok()) return api.status();
    library->api = *api;
    return loaded_.emplace(identity, std::move(library)).first->second.get();
  }

  Result<std::string> Abi(const std::string& path) {
    std::lock_guard lock(mutex_);
    const Result<MappedFile> file = MappedFile::Open(path);
    if (!file.ok()) return file.status();
    std::vector<std::string> warnings;
    if (Status status = CheckFile(file->bytes(), warnings); !status.ok()) return status;
    const Result<void*> handle = Open(path, IdentityOf(file->status()));
    if (!handle.ok()) return handle.status();
    const Result<despina_backend_api> table = AskForTable(EntryOf(*handle), HostApi());
    if (!table.ok()) return table.status();
    return AbiVersion(table->abi_major, table->abi_minor, table->abi_hash);
  }

 private:
  static despina_backend_entry_function EntryOf(void* handle) {
    return reinterpret_cast<despina_backend_entry_function>(::dlsym(handle, DESPINA_BACKEND_ENTRY));
  }
  static Result<const Library*> Named(const Library& library, std::string_view backend) {
    const std::string_view name(library.api.name.data, library.api.name.size);
    if (name == backend) return &library;
    return InvalidArgument(
        Concat("it calls itself '", name, "', and is to be backend '", backend, "'"));
  }

  // The loader knows files by their names first: each new content of a file gets another spelling
  // of its path, which also keeps $ORIGIN right.
  Result<void*> Open(const std::string& path, const Identity& identity) {
    // A library whose handshake failed is still there.
    if (const auto known = handles_.find(identity); known != handles_.end()) return known->second;
    const size_t slash = path.rfind('/');
    std::string spelling = slash == std::string::npos ? "./" : path.substr(0, slash + 1);
    for (size_t i = 0; i < opened_[path]; ++i) spelling += "./";
    spelling += slash == std::string::npos ? path : path.substr(slash + 1);
    void* handle = ::dlopen(spelling.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* text = ::dlerror();
      return Status(Code::kFailedPrecondition,
                    Concat("it cannot be loaded: ", text != nullptr ? text : "unknown error"));
    }
    const auto same = [handle](const auto& each) { return each.second == handle; };
    if (std::ranges::any_of(handles_, same)) {
      ::dlclose(handle);
      return Status(Code::kFailedPrecondition,
                    "its file was overwritten while it was loaded: put a new file in its place "
                    "instead (link or move it there), and restart the server");
    }
    ++opened_[path];
    handles_.emplace(identity, handle);
    return handle;
  }

  std::mutex mutex_;
  std::map<Identity, std::unique_ptr<Library>> loaded_;
  std::map<std::string, size_t> opened_;
  std::map<Identity, void*> handles_;
};

// Never destroyed: what is loaded stays, and may be in use until the process has ended.
Libraries& AllLibraries() {
  static Libraries& libraries = *std::make_unique<Libraries>().release();
  return libraries;
}

}  // namespace

Status CheckFile(std::span<const std::byte> file, std::vector<std::string>& warnings) {
  const Result<ElfSymbols> symbols = ReadElfSymbols(file);
  return symbols.ok() ? CheckSymbols(*symbols, warnings) : symbols.status();
}

Result<const Library*> LoadLibrary(const std::string& path, std::string_view backend) {
  Result<const Library*> library = AllLibraries().Load(path, backend);
  if (library.ok()) return library;
  return library.status().WithPrefix(Concat("library '", path, "': "));
}

Result<std::string> AbiOfLibrary(const std::string& path) {
  Result<std::string> version = AllLibraries().Abi(path);
  if (version.ok()) return version;
  return version.status().WithPrefix(Concat("library '", path, "': "));
}

}  // namespace despina::host
