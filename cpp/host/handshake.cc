#include "host/handshake.h"

#include <exception>
#include <string>

#include "base/text.h"
#include "host/translate.h"

namespace despina::host {
namespace {

Status CheckVersion(const despina_host_api& host, const despina_backend_api& backend) {
  if (backend.abi_hash == host.abi_hash && backend.abi_major == host.abi_major) return Ok();
  const bool newer = backend.abi_major > host.abi_major ||
                     (backend.abi_major == host.abi_major && backend.abi_minor > host.abi_minor);
  return {Code::kFailedPrecondition,
          Concat("it was compiled with version ",
                 AbiVersion(backend.abi_major, backend.abi_minor, backend.abi_hash),
                 " of the backend interface, this server has ",
                 AbiVersion(host.abi_major, host.abi_minor, host.abi_hash), ": ",
                 newer ? "upgrade the distribution 'despina'"
                       : "compile it again with the 'despina-sdk' that belongs to this server")};
}

// The first thing that a table lacks; empty when it is complete.
std::string_view Missing(const despina_backend_api& table) {
  if (!DESPINA_HAS(&table, backend_create)) return "backend_create";
  if (!DESPINA_HAS(&table, backend_destroy)) return "backend_destroy";
  if (!DESPINA_HAS(&table, model_load)) return "model_load";
  if (!DESPINA_HAS(&table, model_describe)) return "model_describe";
  if (!DESPINA_HAS(&table, model_unload)) return "model_unload";
  if (!DESPINA_HAS(&table, instance_create)) return "instance_create";
  if (!DESPINA_HAS(&table, execute)) return "execute";
  if (!DESPINA_HAS(&table, instance_destroy)) return "instance_destroy";
  return {};
}

}  // namespace

std::string AbiVersion(uint16_t major, uint16_t minor, uint64_t hash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = Concat(major, '.', minor, " (");
  for (int shift = 60; shift >= 32; shift -= 4) text += kDigits[(hash >> shift) & 15];
  return text + ')';
}

Result<despina_backend_api> AskForTable(despina_backend_entry_function entry,
                                        const despina_host_api& host) {
  despina_backend_api table{};
  table.struct_size = sizeof table;
  despina_error error{};
  despina_code code = DESPINA_OK;
  try {
    code = entry(&host, &table, &error);
  } catch (const std::exception& thrown) {
    return Internal(Concat("its entry threw an exception: ", thrown.what()));
  } catch (...) {
    return Internal("its entry threw an exception");
  }
  if (code != DESPINA_OK) return StatusOf(code, error);
  // Up to here the table is the same in every version.
  if (table.struct_size < offsetof(despina_backend_api, name) || table.struct_size > sizeof table) {
    return InvalidArgument(Concat("its table has ", table.struct_size, " bytes, from ",
                                  offsetof(despina_backend_api, name), " to ", sizeof table,
                                  " are possible"));
  }
  return table;
}

Result<despina_backend_api> ShakeHands(despina_backend_entry_function entry,
                                       const despina_host_api& host, std::string_view name) {
  Result<despina_backend_api> answer = AskForTable(entry, host);
  if (!answer.ok()) return answer;
  const despina_backend_api& table = *answer;
  if (Status status = CheckVersion(host, table); !status.ok()) return status;
  if (const std::string_view missing = Missing(table); !missing.empty()) {
    return InvalidArgument(Concat("its table has no '", missing, "'"));
  }
  if (View(table.name) != name) {
    return InvalidArgument(
        Concat("it calls itself '", View(table.name), "', and is to be backend '", name, "'"));
  }
  constexpr uint64_t kKnown = DESPINA_STREAMING | DESPINA_ASYNC;
  if ((table.capabilities & ~kKnown) != 0) {
    return InvalidArgument(Concat("it declares capabilities ", table.capabilities,
                                  ", of which this server knows ", kKnown));
  }
  return answer;
}

}  // namespace despina::host
