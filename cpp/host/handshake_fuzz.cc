// Tables that entries of libraries fill in.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/fuzzing.h"
#include "host/handshake.h"
#include "host/host_api.h"

namespace despina::host {
namespace {

constexpr std::string_view kName = "probe";

// What the entry does when it is called.
struct Forgery {
  despina_backend_api table{};
  std::string name;
  std::string version;
  despina_code code = DESPINA_OK;
  std::string message;
  bool throws = false;
};
Forgery forgery;

despina_code Entry(const despina_host_api*, despina_backend_api* out, despina_error* error) {
  if (forgery.throws) throw std::runtime_error(forgery.message);
  *out = forgery.table;
  // Perhaps without an end.
  std::memcpy(error->message, forgery.message.data(),
              std::min(forgery.message.size(), sizeof error->message));
  return forgery.code;
}

// Fills in a member: mostly as it has to be, of any value otherwise.
template <class Function>
void Fill(FuzzedDataProvider& in, Function*& member) {
  // Never called.
  if (in.ConsumeProbability<float>() < 0.95F) member = reinterpret_cast<Function*>(&Entry);
}
template <class T>
void Spoil(FuzzedDataProvider& in, T& member) {
  if (in.ConsumeBool()) member = in.ConsumeIntegral<T>();
}

despina_str Lend(FuzzedDataProvider& in, const std::string& text) {
  if (in.ConsumeBool()) return {text.data(), text.size()};
  return {nullptr, in.ConsumeIntegral<size_t>()};
}

void Forge(FuzzedDataProvider& in) {
  forgery = {};
  despina_backend_api& table = forgery.table;
  table.struct_size = sizeof table;
  table.abi_major = HostApi().abi_major;
  table.abi_minor = HostApi().abi_minor;
  table.abi_hash = HostApi().abi_hash;
  forgery.name = in.ConsumeBool() ? std::string(kName) : in.ConsumeRandomLengthString(64);
  forgery.version = in.ConsumeRandomLengthString(64);
  table.name = Lend(in, forgery.name);
  table.version = Lend(in, forgery.version);
  table.capabilities = in.ConsumeIntegralInRange<uint64_t>(0, 3);
  Fill(in, table.backend_create);
  Fill(in, table.backend_destroy);
  Fill(in, table.model_load);
  Fill(in, table.model_describe);
  Fill(in, table.model_unload);
  Fill(in, table.instance_create);
  Fill(in, table.execute);
  Fill(in, table.instance_destroy);
  Fill(in, table.model_ready);
  Fill(in, table.request_cancelled);
  Fill(in, table.query);
  forgery.message = in.ConsumeRandomLengthString(sizeof(despina_error));
  forgery.throws = in.ConsumeProbability<float>() > 0.9F;
  if (in.ConsumeBool()) return;
  if (in.ConsumeBool()) table.struct_size = in.ConsumeIntegralInRange<uint32_t>(0, sizeof table);
  Spoil(in, table.struct_size);
  Spoil(in, table.abi_major);
  Spoil(in, table.abi_minor);
  Spoil(in, table.abi_hash);
  Spoil(in, table.capabilities);
  Spoil(in, forgery.code);
}

// The rules once more, as abi.h has them.
bool MayBeLoaded() {
  const despina_backend_api& table = forgery.table;
  const auto reaches = [&](const auto& member) {
    const auto* end = reinterpret_cast<const char*>(&member + 1);
    return end - reinterpret_cast<const char*>(&table) <= ptrdiff_t{table.struct_size};
  };
  return !forgery.throws && forgery.code == DESPINA_OK && table.struct_size <= sizeof table &&
         table.abi_hash == HostApi().abi_hash && table.abi_major == HostApi().abi_major &&
         table.name.data != nullptr && forgery.name == kName && table.capabilities <= 3 &&
         reaches(table.instance_destroy) && table.backend_create && table.backend_destroy &&
         table.model_load && table.model_describe && table.model_unload && table.instance_create &&
         table.execute && table.instance_destroy;
}

void Check(FuzzedDataProvider& in) {
  Forge(in);
  const Result<despina_backend_api> shaken = ShakeHands(Entry, HostApi(), kName);
  Require(shaken.ok() == MayBeLoaded(), "what keeps the rules is loaded, and nothing else");
  if (shaken.ok()) {
    Require(std::memcmp(&*shaken, &forgery.table, sizeof *shaken) == 0, "the table is the entry's");
    return;
  }
  Require(!shaken.status().ok(), "a refusal is no success");
  Require(!shaken.status().message().empty(), "a refusal has a reason");
}

}  // namespace
}  // namespace despina::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider in(data, size);
  despina::host::Check(in);
  return 0;
}
