// What a server and a backend's library agree on before anything else happens.
#pragma once

#include <despina/abi.h>

#include <string_view>

#include "base/status.h"

namespace despina::host {

// Asks for the backend's table, and checks it. FAILED_PRECONDITION for another version of the
// interface, naming what to upgrade; INVALID_ARGUMENT for a table without what it must have, or of
// another backend than `name`; what the entry itself says.
Result<despina_backend_api> ShakeHands(despina_backend_entry_function entry,
                                       const despina_host_api& host, std::string_view name);

}  // namespace despina::host
