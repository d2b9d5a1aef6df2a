#include "host/library.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/text.h"
#include "host/elf_symbols.h"
#include "host/native_model.h"

namespace despina::host {
namespace {

namespace fs = std::filesystem;

std::string Backend(std::string_view name) {
  return Concat(DESPINA_TEST_BACKENDS, "lib", name, ".so");
}

std::vector<std::byte> Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

// A folder of the test's own.
class LibraryTest : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  static Status Refusal(const std::string& path, std::string_view backend = "forged") {
    const Result<const Library*> library = LoadLibrary(path, backend);
    return library.ok() ? Ok() : library.status();
  }
  static void ExpectRefused(const std::string& path, Code code, std::string_view text) {
    const Status status = Refusal(path);
    EXPECT_EQ(status.code(), code) << status.message();
    EXPECT_EQ(status.message(), Concat("library '", path, "': ", text));
  }

  const fs::path folder_ = fs::temp_directory_path() / Concat("despina_library_test_", ::getpid());
};

TEST_F(LibraryTest, LoadsABackendOnce) {
  const auto first = LoadLibrary(Backend("forged"), "forged");
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_TRUE((*first)->warnings.empty());
  EXPECT_EQ(*LoadLibrary(Backend("forged"), "forged"), *first);
}

TEST_F(LibraryTest, NamesAFileThatIsNotThere) {
  ExpectRefused(folder_ / "none.so", Code::kNotFound,
                "it cannot be read: No such file or directory");
  ExpectRefused(folder_, Code::kNotFound, "it cannot be read: Is a directory");
}

TEST_F(LibraryTest, RefusesWhatIsNoLibrary) {
  constexpr std::string_view kText = "it is not a library: it does not begin as an ELF file does";
  ExpectRefused(Write("empty.so", ""), Code::kInvalidArgument, kText);
  ExpectRefused(Write("text.so", "#!/bin/sh\n"), Code::kInvalidArgument, kText);
}

TEST_F(LibraryTest, RefusesALibraryOfAnotherMachineAndAProgram) {
  std::vector<std::byte> bytes = Bytes(Backend("forged"));
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  text[18] = 0x16;
  ExpectRefused(Write("foreign.so", text), Code::kInvalidArgument,
                "it is made for another machine");
  text[18] = static_cast<char>(bytes[18]);
  text[16] = 2;
  ExpectRefused(Write("program.so", text), Code::kInvalidArgument,
                "it is not a shared library: link it with -shared");
}

TEST_F(LibraryTest, RefusesALibraryThatExportsNoEntry) {
  ExpectRefused(Backend("no_symbol"), Code::kInvalidArgument,
                "it exports no 'despina_backend_entry': end one of its sources with "
                "DESPINA_BACKEND(...), and link it with despina_add_backend()");
}

TEST_F(LibraryTest, RefusesALibraryMadeForTriton) {
  ExpectRefused(Backend("triton"), Code::kUnimplemented,
                "it was made for Triton's backend interface, which this server does not load: "
                "port it to despina/backend.hpp of the distribution 'despina-sdk'");
}

TEST_F(LibraryTest, RefusesAnotherVersionOfTheInterfaceAndSaysWhatToUpgrade) {
  const Status older = Refusal(Backend("older"));
  EXPECT_EQ(older.code(), Code::kFailedPrecondition);
  EXPECT_NE(older.message().find("it was compiled with version 0.1 ("), std::string::npos)
      << older.message();
  EXPECT_NE(older.message().find("compile it again with the 'despina-sdk' that belongs to this"),
            std::string::npos);
  const Status newer = Refusal(Backend("newer"));
  EXPECT_EQ(newer.code(), Code::kFailedPrecondition);
  EXPECT_NE(newer.message().find("upgrade the distribution 'despina'"), std::string::npos)
      << newer.message();
}

TEST_F(LibraryTest, TellsTheVersionAlsoOfALibraryThatItRefusesForIt) {
  const auto abi = [](std::string_view name) { return AbiOfLibrary(Backend(name)); };
  const auto same = abi("forged");
  ASSERT_TRUE(same.ok()) << same.status().message();
  EXPECT_TRUE(same->starts_with("0.1 (")) << *same;
  const auto newer = abi("newer");
  ASSERT_TRUE(newer.ok()) << newer.status().message();
  EXPECT_EQ(*newer, Concat("1", same->substr(1)));
  EXPECT_EQ(abi("small").status().code(), Code::kInvalidArgument);
  EXPECT_EQ(abi("no_symbol").status().message(), Refusal(Backend("no_symbol")).message());
}

TEST_F(LibraryTest, RefusesATableThatIsNotComplete) {
  ExpectRefused(Backend("incomplete"), Code::kInvalidArgument, "its table has no 'execute'");
  ExpectRefused(
      Backend("small"), Code::kInvalidArgument,
      Concat("its table has 8 bytes, from 16 to ", sizeof(despina_backend_api), " are possible"));
  ExpectRefused(Backend("capability"), Code::kInvalidArgument,
                "it declares capabilities 1125899906842624, of which this server knows 3");
}

TEST_F(LibraryTest, SaysWhatTheBackendSays) {
  ExpectRefused(Backend("refuses"), Code::kFailedPrecondition, "this machine has no abacus");
  const auto library = LoadLibrary(Backend("forged"), "forged");
  ASSERT_TRUE(library.ok());
  const auto backend = NativeBackend::Create(**library, {});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), Code::kUnavailable);
  EXPECT_EQ(backend.status().message(), "not today");
}

TEST_F(LibraryTest, RefusesABackendOfAnotherName) {
  constexpr std::string_view kText = "it calls itself 'forged', and is to be backend 'other'";
  const std::string path = Write("name.so", "");
  fs::copy_file(Backend("forged"), path, fs::copy_options::overwrite_existing);
  const std::string whole = Concat("library '", path, "': ", kText);
  EXPECT_EQ(Refusal(path, "other").message(), whole);
  // A refusal does not spoil the file.
  EXPECT_TRUE(Refusal(path, "forged").ok());
  EXPECT_EQ(Refusal(path, "other").message(), whole);
}

TEST_F(LibraryTest, LibrariesWithTheSameSymbolsLiveSideBySide) {
  for (const std::string_view text : {"one", "two", "one"}) {
    const auto library = LoadLibrary(Backend(Concat("clash_", text)), "forged");
    ASSERT_TRUE(library.ok()) << library.status().message();
    EXPECT_EQ(NativeBackend::Create(**library, {}).status().message(), text);
  }
}

TEST_F(LibraryTest, WarnsOfSymbolsThatAreUniqueInAProcess) {
#ifdef __clang__
  GTEST_SKIP() << "Clang makes no such symbols";
#endif
  const auto library = LoadLibrary(Backend("unique"), "forged");
  ASSERT_TRUE(library.ok()) << library.status().message();
  const std::vector<std::string>& warnings = (*library)->warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("unique in a process"), std::string::npos);
  EXPECT_NE(warnings[0].find("-fno-gnu-unique"), std::string::npos);
}

TEST_F(LibraryTest, LoadsAChangedFileBesideTheOld) {
  const std::string path = folder_ / "changing.so";
  fs::copy_file(Backend("forged"), path);
  const auto first = LoadLibrary(path, "forged");
  ASSERT_TRUE(first.ok()) << first.status().message();
  fs::copy_file(Backend("probe"), folder_ / "next.so");
  fs::rename(folder_ / "next.so", path);
  const auto second = LoadLibrary(path, "probe");
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_NE((*first)->api.execute, (*second)->api.execute);
  // The old one still answers.
  despina_error error{};
  EXPECT_EQ((*first)->api.backend_create(nullptr, nullptr, 0, nullptr, &error),
            DESPINA_UNAVAILABLE);
}

// What the file says of itself is not believed: every length and place may lie.
TEST(ElfSymbolsTest, ReadsNothingOutsideOfADamagedFile) {
  const std::vector<std::byte> whole = Bytes(Backend("probe"));
  ASSERT_TRUE(ReadElfSymbols(whole).ok());
  for (size_t size = 0; size < whole.size(); size += 97) {
    static_cast<void>(ReadElfSymbols(
        std::vector(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  for (size_t at = 0; at < 64; ++at) {
    for (const int value : {0, 1, 0x7f, 0xff}) {
      std::vector<std::byte> damaged = whole;
      damaged[at] = static_cast<std::byte>(value);
      static_cast<void>(ReadElfSymbols(damaged));
    }
  }
}

TEST(ElfSymbolsTest, TellsWhatALibraryDefinesAndNeeds) {
  const std::vector<std::byte> file = Bytes(Backend("forged"));
  const auto symbols = ReadElfSymbols(file);
  ASSERT_TRUE(symbols.ok()) << symbols.status().message();
  EXPECT_NE(std::ranges::find(symbols->defined, "despina_backend_entry"), symbols->defined.end());
  EXPECT_NE(std::ranges::find(symbols->undefined, "__cxa_finalize"), symbols->undefined.end());
}

}  // namespace
}  // namespace despina::host
