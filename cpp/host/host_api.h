// The server's side of the C interface: its table of functions.
#pragma once

#include <despina/abi.h>

#include <string_view>

namespace despina::host {

// The one table of this process.
const despina_host_api& HostApi();

// Whose code is running on this thread, for the lines that it logs; while it lives.
class Calling {
 public:
  // `who` must outlive this.
  explicit Calling(std::string_view who);
  ~Calling();
  Calling(const Calling&) = delete;
  Calling& operator=(const Calling&) = delete;

 private:
  const std::string_view before_;
};

}  // namespace despina::host
