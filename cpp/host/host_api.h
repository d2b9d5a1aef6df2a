// The server's side of the C interface: its table of functions.
#pragma once

#include <despina/abi.h>

namespace despina::host {

// The one table of this process.
const despina_host_api& HostApi();

}  // namespace despina::host
