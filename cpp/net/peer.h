// Who is at the other end of a connection.
#pragma once

#include <string>

#include "net/descriptor.h"

namespace despina::net {

// "127.0.0.1:4711", "[::1]:4711"; empty where the system does not say it.
std::string PeerText(const Descriptor& connected);

}  // namespace despina::net
