// What a server and a backend's library agree on before anything else happens.
#pragma once

#include <despina/abi.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace despina::host {

// A version of the interface as people are told it: "0.1 (4b14827e)".
std::string AbiVersion(uint16_t major, uint16_t minor, uint64_t hash);

// Asks for the backend's table. Its size and version are there, which are the same members in
// every version; the rest is to be looked at once the version is known to fit.
Result<despina_backend_api> AskForTable(despina_backend_entry_function entry,
                                        const despina_host_api& host);

// Asks for the backend's table, and checks it. FAILED_PRECONDITION for another version of the
// interface, naming what to upgrade; INVALID_ARGUMENT for a table without what it must have, or of
// another backend than `name`; what the entry itself says.
Result<despina_backend_api> ShakeHands(despina_backend_entry_function entry,
                                       const despina_host_api& host, std::string_view name);

}  // namespace despina::host
